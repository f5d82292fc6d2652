//! Values that are only shown, in whatever notation an answer has them: none of them decides whether the answer can be used.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A value without parts.
#[derive(Debug, PartialEq)]
pub(crate) enum Scalar {
    Number(f64),
    Text(String),
    Flag(bool),
    /// Null, an array or an object.
    Other,
}

impl Scalar {
    /// The number that it stands for: `5`, `5.0`, `"5"`.
    pub(crate) fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Flag(_) | Self::Other => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The whole number that it stands for.
    pub(crate) fn count(&self) -> Option<u32> {
        whole(self.number()?)
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => self.number().map(|number| number != 0.0),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyScalar)
    }
}

struct AnyScalar;

impl<'de> Visitor<'de> for AnyScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// The whole number that is this one.
fn whole(number: f64) -> Option<u32> {
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_whole.then_some(number as u32)
}

pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Scalar::deserialize(deserializer).map(|scalar| scalar.count())
}

pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Scalar::deserialize(deserializer).map(|scalar| scalar.number())
}

pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Scalar::deserialize(deserializer).map(|scalar| scalar.flag())
}

pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Scalar::deserialize(deserializer).map(|scalar| match scalar {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

pub(crate) fn text_or_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    text(deserializer).map(Option::unwrap_or_default)
}

/// A whole number that decides something, in any notation.
///
/// # Errors
/// When it is none.
pub(crate) fn exact_count<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    let Some(scalar) = Option::<Scalar>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let count = scalar.count();
    count
        .map(Some)
        .ok_or_else(|| D::Error::custom("a whole number is expected"))
}

/// A number that decides something, in any notation.
///
/// # Errors
/// When it is none.
pub(crate) fn exact_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = Scalar::deserialize(deserializer)?.number();
    number.ok_or_else(|| D::Error::custom("a number is expected"))
}

/// An object, if it is one.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(AnyObject(PhantomData))
}

pub(crate) fn object_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    object(deserializer).map(Option::unwrap_or_default)
}

struct AnyObject<T>(PhantomData<T>);

/// The methods of a visitor for values without parts.
macro_rules! without_parts {
    ($result:ty: $($method:ident($($value:ty)?)),+ $(,)?) => {
        $(fn $method<E: Error>(self $(, _: $value)?) -> Result<$result, E> {
            Ok(<$result>::default())
        })+
    };
    ($result:ty) => {
        without_parts!(
            $result: visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str), visit_unit(),
        );
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AnyObject<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    without_parts!(Option<T>);

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// The first objects of an array; what is no object in it is a default one. None, if it is no array. An array costs ten times its text once it
/// is parsed, so no more of it is kept.
pub(crate) fn first_objects<'de, D, T>(deserializer: D, most: usize) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    deserializer.deserialize_any(AnyArray(most, PhantomData))
}

struct AnyArray<T>(usize, PhantomData<T>);

impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for AnyArray<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    without_parts!(Vec<T>);

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut first = Vec::new();
        while let Some(AnyEntry(entry)) = seq.next_element()? {
            if first.len() < self.0 {
                first.push(entry);
            }
        }
        Ok(first)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }
}

struct AnyEntry<T>(T);

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for AnyEntry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object_or_default(deserializer).map(Self)
    }
}

/// A number of tokens as inference servers take it: digits, with `_` or `,` between them, and a suffix. `k`, `m` and `g` are powers of 1000
/// and may follow a fraction; `K`, `M` and `G` are powers of 1024 ([vLLM's notation](https://docs.vllm.ai/en/latest/configuration/engine_args/)).
pub(crate) fn tokens(text: &str) -> Option<u32> {
    let text: String = text.trim().chars().filter(|c| !"_,".contains(*c)).collect();
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'k') => (&text[..at], 1e3),
        (at, 'm') => (&text[..at], 1e6),
        (at, 'g') => (&text[..at], 1e9),
        (at, 'K') => (&text[..at], 1024.0),
        (at, 'M') => (&text[..at], 1024.0 * 1024.0),
        (at, 'G') => (&text[..at], 1024.0 * 1024.0 * 1024.0),
        _ => (text.as_str(), 1.0),
    };
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = digits.trim().parse().ok().filter(|_| is_plain)?;
    // A tenth of a token is lost in the arithmetic.
    whole((number * factor * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scalar(value: Value) -> Scalar {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn numbers_are_read_in_every_notation() {
        for five in [
            json!(5),
            json!(5.0),
            json!("5"),
            json!(" 5.0 "),
            json!("5e0"),
        ] {
            assert_eq!(scalar(five.clone()).count(), Some(5), "{five}");
        }
        for none in [
            json!(null),
            json!(-1),
            json!(5.5),
            json!("five"),
            json!(""),
            json!([5]),
            json!({"a": 5}),
            json!(true),
            json!(4_294_967_296_u64),
            json!("NaN"),
            json!("inf"),
            json!(1e300),
        ] {
            assert_eq!(scalar(none.clone()).count(), None, "{none}");
        }
        assert_eq!(scalar(json!("1.25")).number(), Some(1.25));
        let flags = [
            json!(true),
            json!("True"),
            json!(1),
            json!("false"),
            json!(0),
            json!([]),
        ];
        let flags: Vec<_> = flags.into_iter().map(|flag| scalar(flag).flag()).collect();
        assert_eq!(
            flags,
            [
                Some(true),
                Some(true),
                Some(true),
                Some(false),
                Some(false),
                None
            ]
        );
    }

    #[test]
    fn tokens_are_read_as_inference_servers_take_them() {
        for (text, tokens_of) in [
            ("16000", Some(16_000)),
            ("16k", Some(16_000)),
            ("16K", Some(16_384)),
            ("25.6k", Some(25_600)),
            ("128_000", Some(128_000)),
            ("128,000", Some(128_000)),
            ("1m", Some(1_000_000)),
            ("1M", Some(1_048_576)),
            (" 16000.0 ", Some(16_000)),
            ("16000.5", None),
            ("auto", None),
            ("-1", None),
            ("k", None),
            ("", None),
            ("1e3", None),
        ] {
            assert_eq!(tokens(text), tokens_of, "{text}");
        }
    }
}
