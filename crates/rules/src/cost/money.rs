//! Amounts of money, as statuses show them.

use std::time::Duration;

use cortecs_api::types;

/// More than any account has; what is beyond is no amount of money.
const MOST: f64 = 1e15;

/// How long a balance is used while nothing is billed.
pub const FRESH: Duration = Duration::from_secs(3600);
/// How long a balance is used while an instance is billed.
pub const SPENDING: Duration = Duration::from_secs(600);

/// How old a balance may be for a decision: where decisions depend on it, it is asked for each time [`SPENDING`] has passed.
pub const OLD: Duration = Duration::from_secs(3600);

/// Whether the balance is to be asked for again.
pub fn is_due(age: Duration, is_spending: bool) -> bool {
    age >= if is_spending { SPENDING } else { FRESH }
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// A decimal number.
    pub amount: String,
    /// An ISO 4217 code.
    pub currency: String,
}

/// The balance that the API answered with. `None` if it makes no sense.
pub fn balance(answer: &types::Balance) -> Option<Money> {
    let amount = decimal(answer.current_balance)?;
    is_code(&answer.currency).then(|| Money {
        amount,
        currency: answer.currency.clone(),
    })
}

/// An exact amount of money: millionths of the currency's unit. Sums of decimal prices have no rounding error.
pub type Micros = i64;

/// The exact amount. `None` if it is no amount of money.
pub fn micros(amount: f64) -> Option<Micros> {
    // What is below the bound fits.
    (amount.is_finite() && amount.abs() < 1e12).then(|| (amount * 1e6).round() as Micros)
}

/// The exact amount that a decimal number names. `None` if it cannot be read.
pub fn parse(decimal: &str) -> Option<Micros> {
    decimal.parse().ok().and_then(micros)
}

/// The amount as it is shown.
pub fn show(micros: Micros) -> String {
    decimal(micros as f64 / 1e6).unwrap_or_default()
}

/// Whether this is the form of an ISO 4217 code.
pub(crate) fn is_code(currency: &str) -> bool {
    currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase())
}

/// The amount with two to six decimals, rounded. `None` if it is no amount of money.
pub fn decimal(amount: f64) -> Option<String> {
    if !amount.is_finite() || amount.abs() >= MOST {
        return None;
    }
    let text = format!("{amount:.6}");
    let (whole, decimals) = text.split_once('.')?;
    let (cents, rest) = decimals.split_at_checked(2)?;
    let text = format!("{whole}.{cents}{}", rest.trim_end_matches('0'));
    // A rounded zero has no sign.
    Some(if text == "-0.00" {
        "0.00".to_owned()
    } else {
        text
    })
}

/// The amount that [`decimal`] wrote; zero if the text is none.
pub fn amount(decimal: &str) -> f64 {
    let amount: f64 = decimal.parse().unwrap_or_default();
    if amount.is_finite() { amount } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balance_is_asked_for_more_often_while_something_is_billed() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (age, is_spending, due) in [
            (9, true, false),
            (10, true, true),
            (59, false, false),
            (60, false, true),
        ] {
            assert_eq!(
                is_due(minutes(age), is_spending),
                due,
                "{age} {is_spending}"
            );
        }
    }

    #[test]
    fn amounts_have_two_to_six_decimals() {
        for (amount, text) in [
            (0.0, "0.00"),
            (-0.000_000_1, "0.00"),
            (12.5, "12.50"),
            (1.0 / 3.0, "0.333333"),
            (0.1 + 0.2, "0.30"),
            (-7.25, "-7.25"),
            (99.999_999_9, "100.00"),
        ] {
            assert_eq!(decimal(amount).as_deref(), Some(text), "{amount}");
        }
        for amount in [f64::NAN, f64::INFINITY, -1e15] {
            assert_eq!(decimal(amount), None);
        }
    }

    #[test]
    fn a_balance_that_makes_no_sense_is_none() {
        let answer = |current_balance, currency: &str| types::Balance {
            current_balance,
            currency: currency.to_owned(),
        };
        let money = balance(&answer(3.0, "EUR")).unwrap();
        assert_eq!(
            (money.amount.as_str(), money.currency.as_str()),
            ("3.00", "EUR")
        );
        assert_eq!(balance(&answer(3.0, "euros\n")), None);
        assert_eq!(balance(&answer(f64::NAN, "EUR")), None);
    }
}
