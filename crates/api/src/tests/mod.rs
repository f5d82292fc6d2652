//! The client against real servers on loopback.

mod answers;
mod bodies;
mod calls;
mod foreign;
mod hostile;
mod kinds;
mod notations;
mod outcomes;
mod proxies;
mod secrets;
mod server;
mod successes;
mod tokens;

use crate::types::InstanceArgs;

pub(super) fn args() -> InstanceArgs {
    InstanceArgs {
        model_id: "org--name".to_owned(),
        num_workers: Some(2),
        ..InstanceArgs::default()
    }
}

/// An instance in JSON, with a field and a state that the client does not know.
pub(super) fn instance(id: &str) -> String {
    format!(
        r#"{{"instance_id":"{id}","base_url":null,"instance_args":{{"model_id":"org--name","hardware_type_id":"NVIDIA_L4_1","billing_interval":"per_minute"}},"instance_status":{{"status":"hibernating","started_at":null,"stopped_at":null}},"worker_statuses":[{{"init_progress":{{"current_step":1,"num_steps":5,"description":"…"}}}}],"novelty":[1]}}"#
    )
}

/// The answer to a start, restart or stop.
pub(super) fn answer(id: &str) -> String {
    format!(r#"{{"message":"done","instance":{}}}"#, instance(id))
}
