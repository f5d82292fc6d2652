//! What people do in a walk.

use super::*;

impl Walk {
    /// What resources leave stopped looks like the outcome of an open start that the API altered: a person is asked.
    pub(super) fn answer_questions(&mut self) {
        let asks = |object: &&Arc<CortecsInstance>| {
            let conditions = &object.status.as_ref().unwrap().conditions;
            let stalled = find_condition(conditions, STALLED);
            stalled.is_some_and(|c| c.reason == "StartUnresolved")
        };
        let asking: Vec<_> = self.server.objects.values().filter(asks).cloned().collect();
        for object in asking {
            let mut object = (*object).clone();
            let annotations = object.annotations_mut();
            // An old answer goes first.
            if annotations.remove("cortecs.ai/resolve-start").is_none() {
                annotations.insert("cortecs.ai/resolve-start".into(), "none".into());
            }
            self.log
                .push(format!("a person answers {:?}", object.metadata.name));
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
        let what = self.rng.u32(0..6);
        match what {
            0 => object.spec.state = DesiredState::Stopped,
            1 | 2 => object.spec.state = DesiredState::Running,
            3 => object.spec.num_workers = self.rng.i32(1..3),
            4 => {
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
        object.metadata.generation = object.metadata.generation.map(|g| g + i64::from(what != 4));
        self.log.push(format!("user {what} on {key}"));
        self.store(object);
    }

    pub(super) fn create(&mut self, key: &ObjectKey) {
        let policy = if self.rng.u32(0..4) == 0 {
            "Stop"
        } else {
            "Delete"
        };
        let mut value = resource(&key.name, json!({ "deletionPolicy": policy }), json!({}));
        self.created += 1;
        value["metadata"]["uid"] = json!(format!("uid-{}", self.created));
        value["metadata"]["finalizers"] = json!([]);
        self.log.push(format!("create {key} ({policy})"));
        self.store(serde_json::from_value(value).unwrap());
    }

    /// Others empty a status, or stop or delete an instance.
    pub(super) fn disturb(&mut self) {
        if self.rng.u32(0..3) == 0 {
            return self.wipe();
        }
        if let Some(id) = self.api.any(&mut self.rng) {
            let delete = self.rng.bool();
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
