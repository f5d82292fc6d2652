use serde_json::json;

use super::*;

const PACE: Pace = Pace {
    slow: Duration::from_secs(60),
    fresh: Duration::from_secs(86_400),
    retry: Duration::from_secs(300),
};

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(1_000_000 + seconds))
}

fn entries(ids: &[&str]) -> BTreeMap<String, Arc<Model>> {
    let entries = ids.iter().map(|id| {
        let name = id.replace("--", "/");
        let model = serde_json::from_value(json!({"model_id": id, "hf_name": name})).unwrap();
        ((*id).to_owned(), Arc::new(model))
    });
    entries.collect()
}

fn used(models: &[&str]) -> BTreeSet<String> {
    models.iter().map(|model| used_id(model)).collect()
}

fn ask(
    details: &mut Details,
    list: &BTreeMap<String, Arc<Model>>,
    used: &BTreeSet<String>,
    now: Moment,
) -> Next {
    let next = details.next(list, used, |_| true, PACE, now);
    if let Next::Now(id) = &next {
        details.record(id, &list[id], used, Some(Detail::default()), now);
    }
    next
}

fn now(id: &str) -> Next {
    Next::Now(id.to_owned())
}

#[test]
fn models_in_use_are_asked_about_at_once_and_the_others_slowly() {
    let list = entries(&["a", "b", "org--C", "d"]);
    let used = used(&["org/c", "d"]);
    let mut details = Details::default();
    assert_eq!(ask(&mut details, &list, &used, at(0)), now("d"));
    assert_eq!(ask(&mut details, &list, &used, at(0)), now("org--C"));
    assert_eq!(ask(&mut details, &list, &used, at(0)), now("a"));
    assert_eq!(ask(&mut details, &list, &used, at(1)), Next::At(at(60)));
    assert_eq!(ask(&mut details, &list, &used, at(60)), now("b"));
    // All are known: the next call is after a day.
    assert_eq!(
        ask(&mut details, &list, &used, at(61)),
        Next::At(at(86_400))
    );
    assert_eq!(ask(&mut details, &list, &used, at(86_400)), now("d"));
    assert_eq!(
        ask(&mut details, &BTreeMap::new(), &used, at(0)),
        Next::Never
    );
}

#[test]
fn a_changed_entry_makes_the_answer_old() {
    let mut list = entries(&["a"]);
    let nobody = BTreeSet::new();
    let mut details = Details::default();
    assert_eq!(ask(&mut details, &list, &nobody, at(0)), now("a"));
    let changed = Model {
        size: Some(json!(8)),
        ..(*list["a"]).clone()
    };
    list.insert("a".to_owned(), Arc::new(changed));
    assert_eq!(ask(&mut details, &list, &nobody, at(10)), Next::At(at(60)));
    assert_eq!(ask(&mut details, &list, &nobody, at(60)), now("a"));
}

#[test]
fn after_a_failure_the_answer_stays_and_the_next_call_waits() {
    let list = entries(&["a"]);
    let used = used(&["a"]);
    let mut details = Details::default();
    assert_eq!(ask(&mut details, &list, &used, at(0)), now("a"));
    details.record("a", &list["a"], &used, None, at(86_400));
    assert_eq!(details.get("a"), Some(&Detail::default()));
    assert_eq!(
        ask(&mut details, &list, &used, at(86_401)),
        Next::At(at(86_700))
    );
    assert_eq!(ask(&mut details, &list, &used, at(86_700)), now("a"));
}

#[test]
fn a_model_whose_object_lacks_its_maxima_comes_first() {
    let list = entries(&["a", "b"]);
    let nobody = BTreeSet::new();
    let details = Details::default();
    let next = details.next(&list, &nobody, |id| id == "b", PACE, at(0));
    assert_eq!(next, now("b"));
}

#[test]
fn models_that_the_list_lacks_are_forgotten() {
    let list = entries(&["a", "b"]);
    let used = used(&["a", "b"]);
    let mut details = Details::default();
    ask(&mut details, &list, &used, at(0));
    ask(&mut details, &list, &used, at(0));
    details.retain(&entries(&["b"]));
    assert_eq!(details.get("a"), None);
    assert_eq!(details.get("b"), Some(&Detail::default()));
}
