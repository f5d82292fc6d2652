//! The report about a test that failed, and the checks at the end of each test.

use kube::ResourceExt;

use super::bed::Bed;

impl Bed {
    /// Writes the report, which is long, to its file or the standard error.
    pub(crate) fn tell(&self) {
        let written = self
            .report_to
            .as_ref()
            .map(|file| std::fs::write(file, self.report()));
        if !matches!(written, Some(Ok(()))) {
            eprintln!("{}", self.report());
        }
    }

    fn report(&self) -> String {
        let mut text = String::new();
        let mut say = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        say(format!("=== {}: versions of resources", self.namespace));
        for ((namespace, name), versions) in self.instances.history() {
            for version in versions {
                let status = serde_json::to_string(&version.status).unwrap_or_default();
                let deleted = version.metadata.deletion_timestamp.is_some();
                let (rv, generation) = (version.resource_version(), version.metadata.generation);
                say(format!(
                    "{namespace}/{name} {rv:?} generation {generation:?} deleting {deleted}: {status}"
                ));
            }
        }
        for account in self.accounts.all() {
            say(format!(
                "account {}",
                serde_yaml::to_string(&*account).unwrap_or_default()
            ));
        }
        for resource in self.instances.all() {
            say(format!(
                "resource {}",
                serde_yaml::to_string(&*resource).unwrap_or_default()
            ));
        }
        say("=== requests to the API".to_owned());
        for request in self.api.requests() {
            say(format!(
                "{} {} {} {} -> {:?} {:?} {}",
                request.sequence,
                request.at,
                request.method,
                request.path,
                request.status,
                request.fault,
                request.body.map(|b| b.to_string()).unwrap_or_default()
            ));
        }
        say("=== instances".to_owned());
        for instance in self.api.all_started() {
            say(format!("{instance:?}"));
        }
        say("=== log of the operator".to_owned());
        say(self.logs.text());
        text
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
            return;
        }
        let mut wrong = self.instances.wrong();
        wrong.extend(self.accounts.wrong());
        if self.logs.text().contains(&self.client_secret) {
            wrong.push("the log shows the client secret".to_owned());
        }
        for resource in self.instances.history().values().flatten() {
            let text = serde_json::to_string(&**resource).unwrap_or_default();
            if text.contains(&self.client_secret) {
                wrong.push(format!("{} shows the client secret", resource.name_any()));
            }
        }
        if !wrong.is_empty() {
            wrong.dedup();
            self.tell();
            panic!("{}", wrong.join("; "));
        }
    }
}
