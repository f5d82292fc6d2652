//! The instances of the Cortecs API, and what calls do to them.

use std::{collections::BTreeMap, sync::Arc};

use cortecs_api::types::InstanceState;

use crate::instance::tests::*;

pub(in crate::instance::tests) type Instances = BTreeMap<String, Arc<Instance>>;

/// What a call does.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::instance::tests) enum Effect {
    Start(InstanceArgs),
    Restart(String),
    Stop(String),
    Delete(String),
    Get(String),
}

#[derive(Clone, Debug, Default)]
pub(in crate::instance::tests) struct Cloud {
    pub instances: Instances,
    /// Instances that were ever started.
    pub made: u64,
}

impl Effect {
    /// What the call does.
    pub fn of(call: &ApiCall) -> Self {
        match call.clone() {
            ApiCall::Start { args, .. } => Self::Start(args),
            ApiCall::Restart { instance_id, .. } => Self::Restart(instance_id),
            ApiCall::Stop { instance_id } => Self::Stop(instance_id),
            ApiCall::Delete { instance_id } => Self::Delete(instance_id),
            ApiCall::Get { instance_id } => Self::Get(instance_id),
            ApiCall::FetchModel { .. } | ApiCall::FetchCapacity => {
                panic!("the catalog is no part of the model")
            }
        }
    }

    /// The instance that the call is about; a start has none yet.
    pub fn instance_id(&self) -> Option<&String> {
        match self {
            Self::Start(_) => None,
            Self::Restart(id) | Self::Stop(id) | Self::Delete(id) | Self::Get(id) => Some(id),
        }
    }
}

impl Cloud {
    /// `None`: refused, since the instance is not there or not in the right state.
    pub fn apply(&mut self, effect: &Effect) -> Option<Instance> {
        match effect {
            Effect::Start(args) => Some(self.start(args)),
            Effect::Restart(id) => self.change(id, &InstanceState::Stopped, InstanceState::Pending),
            Effect::Stop(id) => self.stop(id),
            Effect::Delete(id) => self.delete(id),
            Effect::Get(id) => self.get(id).cloned(),
        }
    }

    fn start(&mut self, args: &InstanceArgs) -> Instance {
        self.made += 1;
        // Ids say nothing about age: these are scattered.
        let mut instance = instance(&format!("i-{:03}", self.made * 618 % 997), "pending");
        instance.instance_args = args.clone();
        self.instances
            .insert(instance.instance_id.clone(), Arc::new(instance.clone()));
        instance
    }

    pub fn change(
        &mut self,
        id: &str,
        from: &InstanceState,
        to: InstanceState,
    ) -> Option<Instance> {
        let changed = Arc::make_mut(self.instances.get_mut(id)?);
        if changed.instance_status.status != *from {
            return None;
        }
        let shown = instance(id, to.as_str());
        changed.instance_status = shown.instance_status;
        changed.base_url = shown.base_url;
        changed.worker_statuses = shown.worker_statuses;
        Some(changed.clone())
    }

    pub fn stop(&mut self, id: &str) -> Option<Instance> {
        self.change(id, &InstanceState::Running, InstanceState::Stopped)
            .or_else(|| self.change(id, &InstanceState::Pending, InstanceState::Stopped))
    }

    pub fn delete(&mut self, id: &str) -> Option<Instance> {
        if self.get(id)?.instance_status.status != InstanceState::Stopped {
            return None;
        }
        self.instances.remove(id).map(Arc::unwrap_or_clone)
    }

    pub fn get(&self, id: &str) -> Option<&Instance> {
        self.instances.get(id).map(|i| &**i)
    }
}
