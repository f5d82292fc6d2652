//! The length of each file.

use std::{fs, path::Path};

use crate::sources::root;

/// A reader sees a file of this many lines as a whole. A longer one holds more than one thing.
const MOST_LINES: usize = 400;

fn walk(folder: &Path, too_long: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, too_long);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > MOST_LINES {
                too_long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_a_reader_can_see() {
    let mut too_long = Vec::new();
    for folder in ["src", "crates", "tests", "fuzz"] {
        walk(&root().join(folder), &mut too_long);
    }
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}
