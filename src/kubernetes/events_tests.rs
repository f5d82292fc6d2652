use super::*;

fn identity(uid: &str, reason: &str, note: &str) -> EventIdentity {
    EventIdentity {
        uid: uid.to_owned(),
        text: EventText {
            warning: false,
            reason: reason.to_owned(),
            note: note.to_owned(),
        },
    }
}

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(1000 + seconds))
}

#[test]
fn a_repetition_within_the_window_extends_the_series() {
    let mut recent = RecentEvents::default();
    let starting = identity("u", "Starting", "step 1");
    assert_eq!(recent.repeat(&starting, at(0)), None);
    recent.insert(starting.clone(), "phi.1".to_owned(), at(0));
    assert_eq!(
        recent.repeat(&starting, at(300)),
        Some(("phi.1".to_owned(), 2))
    );
    // The window begins anew with each repetition.
    assert_eq!(
        recent.repeat(&starting, at(600)),
        Some(("phi.1".to_owned(), 3))
    );
    assert_eq!(recent.repeat(&starting, at(960)), None);
}

#[test]
fn another_message_another_reason_and_another_resource_are_other_events() {
    let mut recent = RecentEvents::default();
    recent.insert(
        identity("u", "Starting", "step 1"),
        "phi.1".to_owned(),
        at(0),
    );
    let mut warning = identity("u", "Starting", "step 1");
    warning.text.warning = true;
    for other in [
        identity("u", "Starting", "step 2"),
        identity("u", "Running", "step 1"),
        identity("v", "Starting", "step 1"),
        warning,
    ] {
        assert_eq!(recent.repeat(&other, at(1)), None, "{other:?}");
    }
}

#[test]
fn the_series_are_bounded_and_the_oldest_is_dropped_first() {
    let mut recent = RecentEvents::default();
    for number in 0..MAX_SERIES {
        let identity = identity(&number.to_string(), "Bound", "");
        recent.insert(identity, number.to_string(), at(0));
    }
    // After its repetition, series 0 is not the oldest any more.
    assert!(recent.repeat(&identity("0", "Bound", ""), at(1)).is_some());
    recent.insert(identity("new", "Bound", ""), "new".to_owned(), at(2));
    assert_eq!(recent.0.len(), MAX_SERIES);
    assert!(recent.repeat(&identity("0", "Bound", ""), at(3)).is_some());
    assert_eq!(recent.repeat(&identity("1", "Bound", ""), at(3)), None);
    assert!(recent.repeat(&identity("2", "Bound", ""), at(3)).is_some());
}

#[test]
fn a_deleted_event_begins_a_new_series() {
    let mut recent = RecentEvents::default();
    let bound = identity("u", "Bound", "");
    recent.insert(bound.clone(), "phi.1".to_owned(), at(0));
    assert!(recent.repeat(&bound, at(1)).is_some());
    recent.insert(bound.clone(), "phi.2".to_owned(), at(1));
    assert_eq!(recent.repeat(&bound, at(2)), Some(("phi.2".to_owned(), 2)));
    assert_eq!(recent.0.len(), 1);
}

#[test]
fn a_note_fits_the_api_server_in_bytes_and_a_reason_in_characters() {
    let note = |note: &str| {
        let text = EventText {
            warning: true,
            reason: "R".repeat(200),
            note: note.to_owned(),
        };
        let truncated = truncated(text);
        assert_eq!(truncated.reason.len(), 128);
        truncated.note
    };
    for long in ["ä".repeat(2000), format!("x{}", "\u{1f980}".repeat(500))] {
        let cut = note(&long);
        assert!(cut.len() <= 1024 && cut.len() > 1020 && long.starts_with(&cut));
    }
    assert_eq!(note("as it is"), "as it is");
}
