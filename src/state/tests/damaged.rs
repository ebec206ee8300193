//! Files that are not what they were: nothing is taken for a record that is none, and nothing is lost without a word.

use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::state::file::decode;

#[test]
fn a_record_with_any_byte_flipped_is_the_same_record_or_none() {
    let record = record("a");
    let text = file::encode(&record).unwrap().text().unwrap();
    for (at, mask) in (0..text.len()).zip([0x01, 0x08, 0x20, 0x80, 0xff].into_iter().cycle()) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= mask;
        match decode::<App>(&bytes, "a") {
            Ok((read, _)) => assert_eq!(read, record, "byte {at} ^ {mask:#x}"),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}

#[test]
fn a_record_cut_anywhere_is_no_record() {
    let text = file::encode(&record("a")).unwrap().text().unwrap();
    // But for the line end.
    for length in 0..text.len() - 1 {
        assert!(decode::<App>(&text.as_bytes()[..length], "a").is_err(), "{length} of {}", text.len());
    }
    assert!(decode::<App>(&text.as_bytes()[..text.len() - 1], "a").is_ok());
}

#[test]
fn a_damaged_record_is_told_and_set_aside_and_no_older_one_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = (Store::open(dir.path()), dir.path().join("apps/a.json"));
    let mut record = record("a");
    for round in 0..3 {
        record.generation += 1;
        store.save(&record).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"generation\"", "\"generatiom\"")).unwrap();
        let (records, problems) = Store::open(dir.path()).load::<App>();
        assert!(records.is_empty(), "round {round}: {records:?}");
        assert!(matches!(&problems[..], [Error::Corrupt { aside: Some(_), .. }]), "{problems:?}");
        assert!(!path.exists());
    }
    store.save(&record).unwrap();
    assert_eq!(Store::open(dir.path()).load().0, [record], "what is saved next is what counts");
}

#[test]
fn a_huge_file_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let apps = dir.path().join("apps");
    fs::create_dir_all(&apps).unwrap();
    fs::File::create(apps.join("huge.json")).unwrap().set_len(1 << 40).unwrap();
    let (records, problems) = Store::open(dir.path()).load::<App>();
    assert!(records.is_empty());
    assert!(problems[0].to_string().contains("huge.json is larger than"), "{problems:?}");
}

#[test]
fn a_state_directory_that_is_something_else_is_an_error_in_every_call_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    for (number, apps) in ["file", "fifo", "loop", "away"].into_iter().enumerate() {
        let state = dir.path().join(number.to_string());
        fs::create_dir(&state).unwrap();
        let place = state.join("apps");
        match apps {
            "file" => fs::write(&place, "in the way").unwrap(),
            "fifo" => rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RWXU).unwrap(),
            "loop" => symlink("apps", &place).unwrap(),
            _ => symlink("nowhere/at/all", &place).unwrap(),
        }
        let store = Store::open(&state);
        assert_eq!(store.load::<App>().1.len(), 1, "{apps}");
        assert!(store.save(&record("a")).is_err(), "{apps}");
        assert!(store.remove::<App>(&"a".parse().unwrap()).is_err() || apps == "away", "{apps}");
    }
}

#[test]
fn each_kind_has_records_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path());
    store.save(&record("a")).unwrap();
    assert!(store.load::<Gateway>().0.is_empty());
    // An App's record among the Gateways.
    fs::create_dir_all(dir.path().join("gateways")).unwrap();
    fs::copy(dir.path().join("apps/a.json"), dir.path().join("gateways/a.json")).unwrap();
    let (records, problems) = store.load::<Gateway>();
    assert!(records.is_empty() && problems.len() == 1, "{problems:?}");
    assert_eq!(store.load::<App>().0.len(), 1);
}

proptest! {
    #[test]
    fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode::<App>(&bytes, "a").is_err());
    }

    #[test]
    fn no_json_makes_a_panic(version in 0_u32..3, checksum in "[0-9a-f]{0,20}", record in "[\\[\\]{}\",:a-z0-9]{0,60}") {
        let text = format!("{{\"version\": {version}, \"checksum\": \"{checksum}\", \"record\": {record}}}");
        prop_assert!(decode::<App>(text.as_bytes(), "a").is_err());
    }
}
