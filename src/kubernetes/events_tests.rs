use super::*;

fn about(uid: &str, reason: &str, note: &str) -> About {
    About {
        uid: uid.to_owned(),
        telling: EventText {
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
fn the_same_again_within_the_window_goes_on() {
    let mut told = Told::default();
    let starting = about("u", "Starting", "step 1");
    assert_eq!(told.again(&starting, at(0)), None);
    told.first(starting.clone(), "phi.1".to_owned(), at(0));
    assert_eq!(
        told.again(&starting, at(300)),
        Some(("phi.1".to_owned(), 2))
    );
    // Each time counts from the last one.
    assert_eq!(
        told.again(&starting, at(600)),
        Some(("phi.1".to_owned(), 3))
    );
    assert_eq!(told.again(&starting, at(960)), None);
}

#[test]
fn another_message_another_reason_and_another_resource_are_other_events() {
    let mut told = Told::default();
    told.first(about("u", "Starting", "step 1"), "phi.1".to_owned(), at(0));
    let mut warning = about("u", "Starting", "step 1");
    warning.telling.warning = true;
    for other in [
        about("u", "Starting", "step 2"),
        about("u", "Running", "step 1"),
        about("v", "Starting", "step 1"),
        warning,
    ] {
        assert_eq!(told.again(&other, at(1)), None, "{other:?}");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
    let mut told = Told::default();
    for number in 0..REMEMBERED {
        let about = about(&number.to_string(), "Bound", "");
        told.first(about, number.to_string(), at(0));
    }
    // Told again, it is not the oldest any more.
    assert!(told.again(&about("0", "Bound", ""), at(1)).is_some());
    told.first(about("new", "Bound", ""), "new".to_owned(), at(2));
    assert_eq!(told.0.len(), REMEMBERED);
    assert!(told.again(&about("0", "Bound", ""), at(3)).is_some());
    assert_eq!(told.again(&about("1", "Bound", ""), at(3)), None);
    assert!(told.again(&about("2", "Bound", ""), at(3)).is_some());
}

#[test]
fn an_event_that_was_deleted_begins_anew() {
    let mut told = Told::default();
    let bound = about("u", "Bound", "");
    told.first(bound.clone(), "phi.1".to_owned(), at(0));
    assert!(told.again(&bound, at(1)).is_some());
    told.first(bound.clone(), "phi.2".to_owned(), at(1));
    assert_eq!(told.again(&bound, at(2)), Some(("phi.2".to_owned(), 2)));
    assert_eq!(told.0.len(), 1);
}

#[test]
fn a_note_fits_the_api_server_in_bytes_and_a_reason_in_characters() {
    let note = |note: &str| {
        let telling = EventText {
            warning: true,
            reason: "R".repeat(200),
            note: note.to_owned(),
        };
        let fitting = fitting(telling);
        assert_eq!(fitting.reason.len(), 128);
        fitting.note
    };
    for long in ["ä".repeat(2000), format!("x{}", "\u{1f980}".repeat(500))] {
        let cut = note(&long);
        assert!(cut.len() <= 1024 && cut.len() > 1020 && long.starts_with(&cut));
    }
    assert_eq!(note("as it is"), "as it is");
}
