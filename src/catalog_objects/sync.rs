//! The loop of the catalog: it asks the API what is due, and then writes what is missing.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use cortecs_api::Error;
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_resources::{CortecsHardwareType, CortecsModel};
use cortecs_rules::catalog::{
    details::Next,
    plan::plan,
    spec::{self, Detail},
};
use tokio::time::timeout;

use super::{controller::CatalogController, known::Known, watch::Objects, write::Outcome};
use crate::fleet::poll::Fleet;

/// When the next pass over the objects may begin, and whether there is a reason for one.
struct Passes {
    is_due: bool,
    not_before: Moment,
    pause: Duration,
}

impl CatalogController {
    /// Never completes.
    pub(super) async fn sync(&self) -> Infallible {
        let intervals = &self.parts.intervals;
        let mut known: Option<Known> = None;
        let mut passes = Passes {
            is_due: true,
            not_before: Moment::default(),
            pause: intervals.pass,
        };
        loop {
            let mut wait = intervals.tick;
            if let (Some(fleet), Some(models), Some(hardware)) =
                (self.fleet(), self.models.objects(), self.hardware.objects())
            {
                let known = match &mut known {
                    Some(known) if known.fleet == *fleet.key() => known,
                    other => other.insert(Known::new(fleet.key().clone())),
                };
                passes.is_due |= self.ask(&fleet, known, &models, &hardware).await;
                self.pass(known, &mut passes).await;
                wait = wait.min(self.until_next(known, &models, &passes));
            }
            // Objects that change while the loop works leave a notice.
            if timeout(wait, self.changed.notified()).await.is_ok() {
                passes.is_due = true;
            }
        }
    }

    /// Makes the calls that are due. Whether an answer is new.
    async fn ask(
        &self,
        fleet: &Fleet,
        known: &mut Known,
        models: &Objects<CortecsModel>,
        hardware: &Objects<CortecsHardwareType>,
    ) -> bool {
        let intervals = &self.parts.intervals;
        let us = &self.us;
        let mut is_new = false;
        if known.lists_due <= clock::moment() {
            fleet.finances().request_prices(intervals.refresh);
            let answer = fleet.client().list_readable_models().await;
            let wait = match answer {
                Ok(list) => {
                    known.take_models(list, models, us);
                    is_new = true;
                    intervals.refresh
                }
                Err(error) => self.pause("the models", &error),
            };
            known.lists_due = clock::moment().after(wait);
        }
        is_new |= known.take_hardware(fleet.finances().hardware_types(), hardware, us);
        if self.availability_due(known) <= clock::moment() {
            known.free_asked_at = Some(clock::moment());
            match fleet.client().list_available_hardware_types().await {
                Ok(free) => {
                    let free = free.into_iter().map(|kind| kind.hardware_type_id);
                    known.free = Some(free.collect());
                    known.free_retry = None;
                    is_new = true;
                }
                Err(error) => {
                    let pause = self.pause("the available hardware types", &error);
                    known.free_retry = Some(pause);
                }
            }
        }
        is_new | self.ask_about_a_model(fleet, known, models).await
    }

    /// Asks about at most one model, so that the objects do not wait for many answers. Whether there is an answer.
    async fn ask_about_a_model(
        &self,
        fleet: &Fleet,
        known: &mut Known,
        objects: &Objects<CortecsModel>,
    ) -> bool {
        let Next::Now(id) = self.next_model(known, objects) else {
            return false;
        };
        let Some(entry) = known
            .models
            .as_ref()
            .and_then(|l| l.entries.get(&id))
            .cloned()
        else {
            return false;
        };
        let cached = self.parts.cache.cached(&fleet.key().api_url, &id);
        let answer = match cached {
            Some(Ok(model)) => Some(Detail::of(&model)),
            _ => match fleet.client().get_model(&id).await {
                Ok(model) => Some(Detail::of(&model)),
                Err(error) => {
                    self.pause("a model", &error);
                    None
                }
            },
        };
        let is_new = answer.is_some();
        let used = self.parts.demand.used_models();
        let details = &mut known.details;
        details.record(&id, &entry, &used, answer, clock::moment());
        is_new
    }

    fn next_model(&self, known: &Known, objects: &Objects<CortecsModel>) -> Next {
        let Some(list) = &known.models else {
            return Next::Never;
        };
        let with_maxima = objects
            .values()
            .filter(|o| !o.spec.max_context_lengths.is_empty());
        let with_maxima: BTreeSet<&str> = with_maxima.map(|o| o.spec.id.as_str()).collect();
        known.details.next(
            &list.entries,
            &self.parts.demand.used_models(),
            |id| !with_maxima.contains(id),
            self.parts.intervals.details,
            clock::moment(),
        )
    }

    /// When the available hardware is asked for next.
    fn availability_due(&self, known: &Known) -> Moment {
        let intervals = &self.parts.intervals;
        let interval = intervals.availability(self.parts.demand.waits_for_capacity());
        let wait = known.free_retry.unwrap_or(interval);
        known
            .free_asked_at
            .map_or_else(Moment::default, |at| at.after(wait))
    }

    /// Makes the objects follow the answers, if there is a reason to compare them.
    async fn pass(&self, known: &mut Known, passes: &mut Passes) {
        if !passes.is_due || clock::moment() < passes.not_before {
            return;
        }
        // The objects are read again: answers took their time.
        let (Some(models), Some(hardware)) = (self.models.objects(), self.hardware.objects())
        else {
            return;
        };
        passes.is_due = false;
        let us = &self.us;
        known.tell_others(&models, us);
        known.tell_others(&hardware, us);
        let mut outcome = Outcome::default();
        if let Some(list) = &known.models {
            let writes = plan(&models, list, us, |entry, before| {
                spec::model(entry, known.details.get(spec::start_id(entry)), before)
            });
            outcome += self.write(writes).await;
        }
        if let Some(list) = &known.hardware {
            let writes = plan(&hardware, list, us, |entry, before| {
                spec::hardware_type(entry, known.free.as_ref(), before)
            });
            outcome += self.write(writes).await;
        }
        let intervals = &self.parts.intervals;
        passes.pause = match outcome.written {
            0 => intervals.pass,
            _ => (passes.pause * 2).min(intervals.longest_pass),
        };
        let mut pause = passes.pause;
        if outcome.failed {
            // Nothing may change until then, so nothing else would be a reason.
            passes.is_due = true;
            pause = pause.max(intervals.retry);
        }
        passes.not_before = clock::moment().after(pause);
    }

    /// How long nothing is due.
    fn until_next(
        &self,
        known: &Known,
        objects: &Objects<CortecsModel>,
        passes: &Passes,
    ) -> Duration {
        let now = clock::moment();
        let model = match self.next_model(known, objects) {
            Next::Now(_) => Some(now),
            Next::At(at) => Some(at),
            Next::Never => None,
        };
        let pass = passes.is_due.then_some(passes.not_before);
        let due = [
            Some(known.lists_due),
            Some(self.availability_due(known)),
            model,
            pass,
        ];
        let next = due.into_iter().flatten().min();
        next.map_or(Duration::MAX, |next| next.since(now))
    }

    /// The pause after a failed call.
    fn pause(&self, what: &str, error: &Error) -> Duration {
        tracing::debug!(%error, "{what} of the catalog cannot be fetched");
        let retry_after = error.retry_after().unwrap_or_default();
        self.parts.intervals.retry.max(retry_after)
    }
}
