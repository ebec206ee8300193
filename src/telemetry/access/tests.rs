//! The writer of the access log, with real files.

use std::fs;
use std::time::Instant;

use super::*;
use crate::metrics::Metrics;
use crate::proxy::Part;

/// A request that is over.
pub(super) fn access() -> Access {
    let mut access = Access {
        time: std::time::UNIX_EPOCH + Duration::from_millis(1_795_447_828_250),
        status: 200,
        received: 3,
        sent: 12,
        took: Duration::from_millis(1234),
        upstream: Some(Duration::from_millis(5)),
        ..Access::new([192, 0, 2, 1].into(), http::Version::HTTP_11, crate::proxy::RequestId::default(), 0)
    };
    for (part, text) in [
        (Part::Method, "GET"),
        (Part::Target, "/a?b=c"),
        (Part::Host, "h:80"),
        (Part::UserAgent, "curl/8"),
        (Part::App, "app"),
        (Part::Rule, "0"),
        (Part::Backend, "web"),
    ] {
        access.note(part, text.as_bytes(), 99);
    }
    access
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_line_that_had_room_is_written_before_the_end_and_every_other_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let metrics = Metrics::default();
    let settings = Settings { form: Form::Combined, file: Some(path.clone()) };
    let log = Log::open(&settings, metrics.control()).unwrap().unwrap();
    let sink = log.sink()(metrics.shard());
    let sent = 5 * QUEUE;
    for _ in 0..sent {
        sink(Box::new(access()));
    }
    log.close();
    let written = fs::read_to_string(path).unwrap().lines().count();
    let dropped = metrics.lines_dropped();
    assert_eq!(written as u64 + dropped, sent as u64);
    assert!(written >= QUEUE, "{written}");
}

#[test]
fn a_full_queue_makes_nobody_wait() {
    let (queue, _never_read) = sync_channel(2);
    let metrics = Metrics::default();
    let log = Log { queue, commands: channel().0, ended: channel().1, writer: std::thread::spawn(|| ()) };
    let sink = log.sink()(metrics.shard());
    for _ in 0..5 {
        sink(Box::new(access()));
    }
    assert_eq!(metrics.lines_dropped(), 3);
}

#[test]
fn after_a_rename_lines_go_to_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let metrics = Metrics::default();
    let settings = Settings { form: Form::Json, file: Some(path.clone()) };
    let log = Log::open(&settings, metrics.control()).unwrap().unwrap();
    let sink = log.sink()(metrics.shard());
    sink(Box::new(access()));
    until(|| fs::read_to_string(&path).unwrap().lines().count() == 1);
    fs::rename(&path, &old).unwrap();
    log.reopen();
    until(|| path.exists());
    sink(Box::new(access()));
    log.close();
    assert_eq!([old, path].map(|path| fs::read_to_string(path).unwrap().lines().count()), [1, 1]);
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let metrics = Metrics::default();
    let settings = Settings { form: Form::Combined, file: Some("/dev/full".into()) };
    let log = Log::open(&settings, metrics.control()).unwrap().unwrap();
    log.sink()(metrics.shard())(Box::new(access()));
    log.close();
    assert_eq!(metrics.lines_dropped(), 1);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let settings = Settings { form: Form::Combined, file: Some("/nonexistent/access.log".into()) };
    assert!(matches!(Log::open(&settings, &Control::default()), Err(Error::Open(..))));
    assert!(Log::open(&Settings::default(), &Control::default()).unwrap().is_none());
}
