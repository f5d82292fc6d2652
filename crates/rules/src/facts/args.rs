//! The arguments of an instance, as the spec states them, as the API names them and as a status records them: converted and
//! compared.
//!
//! Each list of the fields takes a value apart or builds one completely, so a field that is added to one of the three types
//! and forgotten here does not compile:
//!
//! | a field is added to | does not compile |
//! |---|---|
//! | `CortecsInstanceSpec` | [`stated`] |
//! | the API's `InstanceArgs` | [`stated`], [`Compared::of`], [`recorded`], [`of_record`], and [`pin`](super::defaults::pin) |
//! | the status's `InstanceArgs` | [`recorded`], [`shown`], [`fits`], [`of_record`], [`in_force`] |

use cortecs_api::{
    fit,
    types::{BillingInterval, InstanceArgs},
};
use cortecs_resources::{
    identity,
    instance::{self, CortecsInstanceSpec},
    instance_status::CortecsInstanceStatus,
};

/// The longest model or hardware type, and the longest billing interval, that a status takes, in characters.
pub(crate) const MAX_ID: usize = 256;
pub(crate) const MAX_WORD: usize = 64;

/// The API's id of a model that was named by its id (`org--name`) or by its Hugging Face name (`org/name`).
pub fn normalise_model_id(model: &str) -> String {
    model.replace('/', "--")
}

/// The arguments as the spec states them; what it leaves open is absent.
pub fn stated(spec: &CortecsInstanceSpec) -> InstanceArgs {
    let CortecsInstanceSpec {
        model_id,
        hardware_type_id,
        context_length,
        billing_interval,
        num_workers,
        // These are no arguments of a start.
        hardware_fallbacks: _,
        max_runtime_seconds: _,
        expire_time: _,
        ttl_seconds_after_expired: _,
        stop_at: _,
        lead_seconds: _,
        account_ref: _,
        state: _,
        suspend: _,
        update_strategy: _,
        deletion_policy: _,
        drift_policy: _,
        adopt: _,
        progress_deadline_seconds: _,
    } = spec;
    InstanceArgs {
        model_id: normalise_model_id(model_id),
        hardware_type_id: hardware_type_id.clone(),
        context_length: context_length.and_then(|n| u32::try_from(n).ok()),
        billing_interval: Some(match billing_interval {
            instance::BillingInterval::PerMinute => BillingInterval::PerMinute,
            instance::BillingInterval::PerHour => BillingInterval::PerHour,
        }),
        num_workers: u32::try_from(*num_workers).ok(),
    }
}

/// The arguments that are compared by value: all but the model, which has two spellings.
struct Compared<'a>([Option<Value<'a>>; 4]);

#[derive(PartialEq)]
enum Value<'a> {
    Text(&'a str),
    Number(u32),
}

impl<'a> Compared<'a> {
    fn of(args: &'a InstanceArgs) -> Self {
        let InstanceArgs {
            model_id: _,
            hardware_type_id,
            context_length,
            billing_interval,
            num_workers,
        } = args;
        Self([
            hardware_type_id.as_deref().map(Value::Text),
            context_length.map(Value::Number),
            billing_interval.as_ref().map(|b| Value::Text(b.as_str())),
            num_workers.map(Value::Number),
        ])
    }
}

/// Whether `seen` may be an instance that was asked for with `wanted`: an argument that one of them leaves out agrees with any value.
pub fn matches(wanted: &InstanceArgs, seen: &InstanceArgs) -> bool {
    may_be(wanted, false, seen)
}

/// The same where it may not be known under which id the API shows the model of `wanted`: `any_model`.
pub fn may_be(wanted: &InstanceArgs, any_model: bool, seen: &InstanceArgs) -> bool {
    let agree = |pair: (Option<Value<'_>>, Option<Value<'_>>)| match pair {
        (Some(wanted), Some(seen)) => wanted == seen,
        _ => true,
    };
    let pairs = Compared::of(wanted).0.into_iter().zip(Compared::of(seen).0);
    (any_model || same_model(wanted, seen)) && pairs.into_iter().all(agree)
}

/// Whether `seen` states everything that `wanted` asks for, and nothing else.
pub fn states_exactly(wanted: &InstanceArgs, seen: &InstanceArgs) -> bool {
    let is_whole = Compared::of(seen).0.iter().all(Option::is_some);
    is_whole && same_model(wanted, seen) && Compared::of(wanted).0 == Compared::of(seen).0
}

/// Whether both are of one model, however it is spelt.
pub fn same_model(a: &InstanceArgs, b: &InstanceArgs) -> bool {
    a.model_id == b.model_id || normalise_model_id(&a.model_id) == normalise_model_id(&b.model_id)
}

/// Whether both names of models differ in nothing but in how they are spelt. No two models of the catalog do.
fn is_one_name(a: &InstanceArgs, b: &InstanceArgs) -> bool {
    let [a, b] = [a, b].map(|args| normalise_model_id(&args.model_id));
    a.eq_ignore_ascii_case(&b)
}

/// The arguments as the spec states them to someone who sees an instance with `actual`: its hardware is as asked if it is one of the fallbacks.
fn stated_about(spec: &CortecsInstanceSpec, actual: &InstanceArgs) -> InstanceArgs {
    let hardware = actual.hardware_type_id.as_ref();
    let fallback = hardware.filter(|id| spec.hardware_fallbacks.contains(*id));
    let wanted = stated(spec);
    InstanceArgs {
        hardware_type_id: fallback.cloned().or(wanted.hardware_type_id),
        ..wanted
    }
}

/// Whether an instance in force with `actual` is what `spec` asks for. A default that the spec leaves open agrees with any value. `pinned` has
/// the model as the catalog spells it.
pub fn satisfies(spec: &CortecsInstanceSpec, pinned: &InstanceArgs, actual: &InstanceArgs) -> bool {
    same_model(pinned, actual) && may_be(&stated_about(spec, actual), true, actual)
}

/// Whether an answer of the API that leaves arguments out can show instances of both in the same way. Any argument but the
/// model may be left out.
pub fn may_look_alike(a: &InstanceArgs, b: &InstanceArgs) -> bool {
    same_model(a, b)
}

/// Whether `spec` asks for something else than when the instance was requested, and than what is in force. An answer of the API
/// that differs from the request is no reason to replace the instance: the next answer would differ as well. An argument
/// that the spec leaves open agrees with any value.
pub fn is_outdated(
    spec: &CortecsInstanceSpec,
    requested: &InstanceArgs,
    in_force: &InstanceArgs,
) -> bool {
    let wanted = stated_about(spec, in_force);
    // Requested and in force may be as the API spells the model.
    if !is_one_name(&wanted, requested) && !is_one_name(&wanted, in_force) {
        return true;
    }
    let then = Compared::of(requested).0;
    let now = Compared::of(in_force).0;
    let mut fields = Compared::of(&wanted).0.into_iter().zip(then).zip(now);
    fields.any(|((wanted, then), now)| wanted.is_some() && wanted != then && wanted != now)
}

/// Whether the instance that `status` shows is [outdated](is_outdated).
pub fn shows_outdated(spec: &CortecsInstanceSpec, status: &CortecsInstanceStatus) -> bool {
    match (&status.slot().requested_args, &status.instance_args) {
        (Some(requested), Some(in_force)) => {
            is_outdated(spec, &of_record(requested), &of_record(in_force))
        }
        _ => false,
    }
}

/// The arguments as a status records them, unchanged: see [`fits`].
pub fn recorded(args: &InstanceArgs) -> identity::InstanceArgs {
    let InstanceArgs {
        model_id,
        hardware_type_id,
        context_length,
        billing_interval,
        num_workers,
    } = args;
    identity::InstanceArgs {
        model_id: model_id.clone(),
        hardware_type_id: hardware_type_id.clone(),
        context_length: context_length.map(i64::from),
        billing_interval: billing_interval.as_ref().map(|b| b.as_str().to_owned()),
        num_workers: num_workers.map(i64::from),
    }
}

/// The arguments that a status records, as the API names them.
pub fn of_record(args: &identity::InstanceArgs) -> InstanceArgs {
    let identity::InstanceArgs {
        model_id,
        hardware_type_id,
        context_length,
        billing_interval,
        num_workers,
    } = args;
    InstanceArgs {
        model_id: model_id.clone(),
        hardware_type_id: hardware_type_id.clone(),
        context_length: context_length.and_then(|n| u32::try_from(n).ok()),
        billing_interval: billing_interval.as_deref().map(BillingInterval::from),
        num_workers: num_workers.and_then(|n| u32::try_from(n).ok()),
    }
}

/// The arguments that the API states, cut and cleaned so that a status takes them.
pub fn shown(args: &InstanceArgs) -> identity::InstanceArgs {
    let identity::InstanceArgs {
        model_id,
        hardware_type_id,
        context_length,
        billing_interval,
        num_workers,
    } = recorded(args);
    identity::InstanceArgs {
        model_id: fit(&model_id, MAX_ID),
        hardware_type_id: hardware_type_id.map(|id| fit(&id, MAX_ID)),
        context_length,
        billing_interval: billing_interval.map(|word| fit(&word, MAX_WORD)),
        num_workers,
    }
}

/// Whether a status takes these arguments unchanged.
pub fn fits(args: &identity::InstanceArgs) -> bool {
    let identity::InstanceArgs {
        model_id,
        hardware_type_id,
        context_length: _,
        billing_interval,
        num_workers: _,
    } = args;
    let fits = |text: &str, limit| fit(text, limit).len() == text.len();
    fits(model_id, MAX_ID)
        && hardware_type_id.iter().all(|id| fits(id, MAX_ID))
        && billing_interval.iter().all(|word| fits(word, MAX_WORD))
}

/// The arguments in force: what the API states, filled up with what was recorded before for the same instance.
pub fn in_force(
    stated: &InstanceArgs,
    before: Option<&identity::InstanceArgs>,
) -> identity::InstanceArgs {
    let now = shown(stated);
    let same = |before: &&identity::InstanceArgs| {
        normalise_model_id(&before.model_id) == normalise_model_id(&stated.model_id)
    };
    let Some(before) = before.filter(same).cloned() else {
        return now;
    };
    let identity::InstanceArgs {
        model_id,
        hardware_type_id,
        context_length,
        billing_interval,
        num_workers,
    } = now;
    identity::InstanceArgs {
        model_id,
        hardware_type_id: hardware_type_id.or(before.hardware_type_id),
        context_length: context_length.or(before.context_length),
        billing_interval: billing_interval.or(before.billing_interval),
        num_workers: num_workers.or(before.num_workers),
    }
}

#[cfg(test)]
#[path = "args_property_tests.rs"]
mod property_tests;

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
