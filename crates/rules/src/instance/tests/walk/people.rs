//! What people do in a walk.

use super::{trail::DEADLINE, *};
use crate::facts::args;

impl Walk {
    /// What resources leave stopped looks like the outcome of an open start that the API altered, and with answers that leave
    /// arguments out two unequal starts look alike: a person is asked, who knows which instance is whose.
    pub(super) fn answer_questions(&mut self) {
        let asks = |object: &&Arc<CortecsInstance>| {
            let conditions = &object.status.as_ref().unwrap().conditions;
            let stalled = find_condition(conditions, STALLED);
            stalled.is_some_and(|c| c.reason == "StartUnresolved")
        };
        let asking: Vec<_> = self.server.objects.values().filter(asks).cloned().collect();
        let objects: Vec<_> = self.server.objects.values().cloned().collect();
        let bound = objects.iter().filter_map(|o| Self::status(o).instance_id);
        let mut taken: Vec<String> = bound.collect();
        for object in asking {
            let mut object = (*object).clone();
            let made = Self::status(&object)
                .slot()
                .start
                .as_ref()
                .and_then(|start| {
                    let args = args::of_record(&start.args);
                    self.api.made_with(&args, &taken)
                });
            taken.extend(made.clone());
            let annotations = object.annotations_mut();
            // An old answer goes first.
            if annotations.remove("cortecs.ai/resolve-start").is_none() {
                let answer = made.unwrap_or_else(|| "none".to_owned());
                annotations.insert("cortecs.ai/resolve-start".into(), answer);
            }
            self.log
                .push(format!("a person answers {:?}", object.annotations()));
            self.store(object);
        }
    }

    pub(super) fn user(&mut self) {
        let key = self.any_name();
        let Some(object) = self.server.objects.get(&key) else {
            return self.create(&key);
        };
        let mut object = (**object).clone();
        if object.metadata.deletion_timestamp.is_some() {
            return;
        }
        let what = self.rng.u32(0..7);
        match what {
            0 => object.spec.state = DesiredState::Stopped,
            1 | 2 => object.spec.state = DesiredState::Running,
            3 | 4 => object.spec.num_workers = 3 - object.spec.num_workers,
            5 => {
                let value = self.rng.u32(..).to_string();
                let annotations = object.metadata.annotations.get_or_insert_default();
                annotations.insert("cortecs.ai/restartedAt".into(), value);
            }
            _ => {
                let epoch = jiff::Timestamp::UNIX_EPOCH;
                object.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(epoch));
            }
        }
        self.ordered(&key);
        object.metadata.generation = object.metadata.generation.map(|g| g + i64::from(what != 5));
        self.log.push(format!("user {what} on {key}"));
        self.store(object);
    }

    pub(super) fn create(&mut self, key: &ObjectKey) {
        let policy = if self.rng.u32(0..4) == 0 {
            "Stop"
        } else {
            "Delete"
        };
        let expires = (self.rng.u32(0..4) == 0).then(|| {
            let second = self.now + self.rng.u64(200..2_000);
            let second = i64::try_from(second).unwrap();
            jiff::Timestamp::from_second(second).unwrap().to_string()
        });
        let spec = json!({
            "deletionPolicy": policy,
            "driftPolicy": if self.rng.bool() { "Accept" } else { "Revert" },
            "updateStrategy": { "type": if self.rng.bool() { "OnDelete" } else { "Recreate" } },
            "progressDeadlineSeconds": DEADLINE,
            "expireTime": expires,
            "ttlSecondsAfterExpired": expires.as_ref().map(|_| self.rng.u32(0..300)),
            "maxRuntimeSeconds": if self.rng.bool() { json!(self.rng.u32(60..900)) } else { Value::Null },
        });
        let mut value = resource(&key.name, spec, json!({}));
        self.trails.remove(key);
        self.created += 1;
        value["metadata"]["uid"] = json!(format!("uid-{}", self.created));
        value["metadata"]["finalizers"] = json!([]);
        self.log.push(format!("create {key}: {}", value["spec"]));
        self.store(serde_json::from_value(value).unwrap());
    }

    /// Others empty a status, or stop or delete an instance.
    pub(super) fn disturb(&mut self) {
        if self.rng.u32(0..3) == 0 {
            return self.wipe();
        }
        if let Some(id) = self.api.any(&mut self.rng) {
            if self.rng.u32(0..3) == 0 {
                self.log.push(format!("{id} falters"));
                let until = self.now + self.rng.u64(5..DEADLINE / 2);
                return self.api.falter(&id, until);
            }
            let delete = self.rng.bool();
            self.others_took(&id);
            self.excuse_lists();
            self.log.push(format!(
                "others {} {id}",
                if delete { "delete" } else { "stop" }
            ));
            self.api.stop(&id);
            if delete {
                self.api.delete(&id);
            }
        }
    }

    /// Someone empties a status. What the annotation proves may be forgotten; anything else is put back by a process that is
    /// there.
    pub(super) fn wipe(&mut self) {
        let key = self.any_name();
        let Some(object) = self.server.objects.get(&key) else {
            return;
        };
        let mut object = (**object).clone();
        let status = Self::status(&object);
        let proven = matches!((sealed_id_of(&object), &status.instance_id), (SealedId::Proven(a), Some(b)) if a == *b);
        let kept_by_annotation =
            proven && status.slot().start.is_none() && status.slot().restart.is_none();
        self.log.push(format!("the status of {key} is emptied"));
        self.deliver_all();
        self.ordered(&key);
        self.trail(&key).emptied = self.omits;
        object.status = Some(CortecsInstanceStatus::default());
        self.store(object);
        if !kept_by_annotation {
            self.deliver_all();
            let faults = std::mem::replace(&mut self.faults, false);
            self.reconcile(&key);
            self.faults = faults;
        }
    }
}
