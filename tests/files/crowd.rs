//! Many downloads at once from a file system that is read by the few threads of its root alone: they take turns, and so does who looks
//! for other files there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::places::{alone, is_alone, overlay};
use super::shelf::{Client, Shelf, numbered};
use crate::support::{needs, scratch};

const LENGTH: usize = 20 << 20;
const DOWNLOADS: usize = 100;
/// What a client takes before the next one has its turn.
const MOUTHFUL: usize = 256 << 10;
/// So often.
const TURNS: usize = 12;
/// Who is looked at that long would hear that nobody answers (504).
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_hundred_downloads_from_an_overlay_hold_up_nobody_who_looks_for_a_file() {
    needs!(root, unshare, mount, setpriv);
    alone("files::crowd::with_own_mounts");
}

#[test]
#[ignore = "needs mounts of its own: it is run by the test above"]
fn with_own_mounts() {
    if !is_alone() {
        return;
    }
    let root = scratch();
    overlay(root.path(), LENGTH);
    let shelf = Shelf::at(root, "");
    shelf.write("small", b"small");
    let content = numbered(LENGTH);
    let mut crowd: Vec<Client> = (0..DOWNLOADS).map(|_| shelf.client()).collect();
    for client in &mut crowd {
        client.ask("GET", "/large", "");
    }
    let hungry = AtomicUsize::new(0);
    let looked = thread::scope(|scope| {
        for clients in crowd.chunks_mut(DOWNLOADS / 4) {
            hungry.fetch_add(1, Ordering::Relaxed);
            scope.spawn(|| {
                download(clients, &content);
                hungry.fetch_sub(1, Ordering::Relaxed);
            });
        }
        look_around(&shelf, &hungry)
    });
    assert!(looked > 0, "the downloads were over before the first look");
}

/// All clients in turn, a bit at a time.
fn download(clients: &mut [Client], content: &[u8]) {
    for client in &mut *clients {
        let head = client.head();
        assert_eq!((head.status, head.length), (200, content.len()));
    }
    for turn in 0..TURNS {
        for client in &mut *clients {
            let bytes = turn * MOUTHFUL..(turn + 1) * MOUTHFUL;
            assert!(client.body(MOUTHFUL) == content[bytes], "other bytes in turn {turn}");
        }
    }
}

/// Asks for what is there and for what is not, as long as there are downloads.
fn look_around(shelf: &Shelf, hungry: &AtomicUsize) -> usize {
    let (mut client, mut looked, mut longest) = (shelf.client(), 0, Duration::ZERO);
    while hungry.load(Ordering::Relaxed) > 0 {
        let began = Instant::now();
        client.ask("GET", "/small", "");
        assert_eq!((client.head().status, client.body(5)), (200, b"small".to_vec()));
        client.ask("GET", &format!("/missing-{looked}"), "");
        let head = client.head();
        assert_eq!((head.status, client.body(head.length).len()), (404, head.length));
        longest = longest.max(began.elapsed());
        looked += 1;
    }
    assert!(longest < PATIENCE, "one of {looked} looks took {longest:?}");
    looked
}
