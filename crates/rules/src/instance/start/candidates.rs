//! Which instances an open start may have made.

use cortecs_api::{
    flaw_of_instance,
    types::{Instance, InstanceArgs},
};
use cortecs_resources::journal::StartIntent;

use super::others;
use crate::{
    facts::{
        args,
        attempt::{Attempt, Outcome},
        known::is_known_to,
        snapshot::Snapshot,
    },
    instance::draft::Draft,
};

/// The instances of a list that did not exist before an open start, that no resource claims, and that this start may have made.
#[derive(Default)]
pub(crate) struct Candidates<'s> {
    /// Made by this start, or by equal ones: those are interchangeable.
    pub certain: Vec<&'s Instance>,
    /// Made by this start, or by an equal one that was overtaken.
    pub doubtful: Vec<&'s Instance>,
    /// Made by this start, or by one that asked for other arguments, which the list does not tell.
    pub contested: Vec<&'s Instance>,
    /// No call can be made about these, so they could never be stopped.
    pub untouchable: Vec<&'s Instance>,
    /// With other arguments: the API may not have taken the arguments as they were. Of the same model, unless it is not known under which id
    /// the API shows the model.
    pub altered: Vec<&'s Instance>,
}

impl<'s> Candidates<'s> {
    pub fn new(
        draft: &Draft<'_>,
        snapshot: &'s Snapshot,
        intent: &StartIntent,
        attempt: &Attempt,
        api_url: &str,
    ) -> Self {
        let wanted = args::of_record(&intent.args);
        let mut found = Self::default();
        let new = snapshot.instances.values().map(|instance| &**instance);
        let free = new.filter(|i| {
            is_free(draft, i, api_url) && !draft.input.book.was_let_go(api_url, &i.instance_id)
        });
        for instance in free.filter(|i| !is_known_to(intent, &i.instance_id)) {
            if let Some(group) = found.group(draft, instance, intent, &wanted, attempt, api_url) {
                group.push(instance);
            }
        }
        found
    }

    fn group(
        &mut self,
        draft: &Draft<'_>,
        instance: &Instance,
        intent: &StartIntent,
        wanted: &InstanceArgs,
        attempt: &Attempt,
        api_url: &str,
    ) -> Option<&mut Vec<&'s Instance>> {
        if let Outcome::Accepted(accepted) = &attempt.outcome {
            // The instance that the start was answered with is the only candidate.
            return (instance.instance_id == accepted.instance_id).then_some(&mut self.certain);
        }
        if !args::matches(wanted, &instance.instance_args) {
            let may_be = args::may_be(wanted, intent.any_model, &instance.instance_args);
            if may_be && others::may_have_made(draft, api_url, instance, |_| true) {
                // The list does not tell the models apart.
                return Some(&mut self.contested);
            }
            let same_model = args::same_model(wanted, &instance.instance_args);
            let is_altered = (same_model || intent.any_model)
                && !others::may_have_made(draft, api_url, instance, |_| true);
            return is_altered.then_some(&mut self.altered);
        }
        Some(if flaw_of_instance(&instance.instance_id).is_some() {
            &mut self.untouchable
        } else if others::is_contested(draft, api_url, wanted, instance) {
            &mut self.contested
        } else if others::may_be_of_overtaken(draft, api_url, wanted, instance) {
            &mut self.doubtful
        } else {
            &mut self.certain
        })
    }

    /// Those that a person may name.
    pub fn callable(&self) -> Vec<&'s Instance> {
        let groups = [
            &self.certain,
            &self.doubtful,
            &self.contested,
            &self.altered,
        ];
        let all = groups.into_iter().flatten().copied();
        all.filter(|i| flaw_of_instance(&i.instance_id).is_none())
            .collect()
    }
}

pub(crate) fn is_free(draft: &Draft<'_>, instance: &Instance, api_url: &str) -> bool {
    !draft
        .input
        .book
        .is_claimed_by_other(api_url, &instance.instance_id, draft.input.key)
}
