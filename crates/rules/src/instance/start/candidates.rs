//! Which instances an open start may have made.

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_resources::instance_status::StartIntent;

use crate::{
    facts::{args, snapshot::Snapshot},
    instance::draft::Draft,
};

/// Instances that this start may have created: equal, not known to the intent, and no resource's.
pub(crate) fn candidates<'s>(
    draft: &Draft<'_>,
    snapshot: &'s Snapshot,
    intent: &StartIntent,
    wanted: &InstanceArgs,
    api_url: &str,
) -> Vec<&'s Instance> {
    new_and_free(draft, snapshot, intent, api_url)
        .filter(|instance| args::matches(wanted, &instance.instance_args))
        .collect()
}

/// Instances that this start may have created if the API did not take its arguments as they were: of the same model,
/// and not to be explained by another open start.
pub(crate) fn altered<'s>(
    draft: &Draft<'_>,
    snapshot: &'s Snapshot,
    intent: &StartIntent,
    wanted: &InstanceArgs,
    api_url: &str,
) -> Vec<&'s Instance> {
    let input = draft.input;
    new_and_free(draft, snapshot, intent, api_url)
        .filter(|instance| args::same_model(wanted, &instance.instance_args))
        .filter(|instance| {
            !input.book.open_starts(api_url, input.key).any(|open| {
                args::matches(&args::of_record(&open.intent.args), &instance.instance_args)
            })
        })
        .collect()
}

fn new_and_free<'s>(
    draft: &Draft<'_>,
    snapshot: &'s Snapshot,
    intent: &StartIntent,
    api_url: &str,
) -> impl Iterator<Item = &'s Instance> {
    snapshot
        .instances
        .values()
        .map(|instance| &**instance)
        .filter(move |instance| !intent.known_instance_ids.contains(&instance.instance_id))
        .filter(move |instance| is_free(draft, instance, api_url))
}

pub(crate) fn is_free(draft: &Draft<'_>, instance: &Instance, api_url: &str) -> bool {
    !draft
        .input
        .book
        .is_claimed_by_other(api_url, &instance.instance_id, draft.input.key)
}
