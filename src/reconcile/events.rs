//! What is said about objects -> the events that are shown, a bounded number.
//!
//! In: an object, a reason, a sentence. Out: [`Event`]s, the oldest first. Never: the same sentence twice; more than [`MOST`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use imbl::Vector;

use crate::api::v1::{API_VERSION, Event, EventMetadata, EventType, ObjectReference, Reason};

/// Events that are kept in all; the oldest go.
const MOST: usize = 2000;
/// Events that are kept of one object: one that can't make up its mind covers nobody else's.
const MOST_OF_ONE: usize = 50;
/// Characters of a message, at most (as Kubernetes: 1 kB).
const MESSAGE: usize = 1024;

/// When something is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// RFC 3339.
    pub(super) now: &'a str,
    /// The revision that will show it.
    pub(super) revision: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Events {
    all: Vector<Arc<Event>>,
    /// The same events, in the same order.
    of: HashMap<ObjectReference, VecDeque<Arc<Event>>>,
    /// The number of the last one.
    last: u64,
}

impl Events {
    /// Everything, the oldest first.
    pub(super) fn all(&self) -> Vector<Arc<Event>> {
        self.all.clone()
    }

    /// Something has happened. If it is the same as before, that event counts it, and is the newest again.
    pub(super) fn say(&mut self, object: ObjectReference, type_: EventType, reason: Reason, message: &str, at: Moment<'_>) {
        let message: String = message.chars().take(MESSAGE).collect();
        let known = self.of.get(&object).and_then(|events| {
            events.iter().rfind(|event| event.type_ == type_ && event.reason == reason && event.message == message).cloned()
        });
        let mut event = match known {
            Some(known) => {
                self.forget(&known);
                Arc::unwrap_or_clone(known)
            }
            None => self.first(object, type_, reason, message, at),
        };
        event.count += 1;
        at.now.clone_into(&mut event.last_timestamp);
        event.metadata.resource_version = at.revision.to_string();
        self.add(Arc::new(event));
    }

    fn first(&mut self, object: ObjectReference, type_: EventType, reason: Reason, message: String, at: Moment<'_>) -> Event {
        self.last += 1;
        Event {
            api_version: API_VERSION.to_owned(),
            kind: "Event".to_owned(),
            metadata: EventMetadata { name: format!("{}.{}", object.name, self.last), resource_version: String::new() },
            involved_object: object,
            type_,
            reason,
            message,
            count: 0,
            first_timestamp: at.now.to_owned(),
            last_timestamp: String::new(),
        }
    }

    fn add(&mut self, event: Arc<Event>) {
        let of = self.of.entry(event.involved_object.clone()).or_default();
        of.push_back(event.clone());
        let too_old = if of.len() > MOST_OF_ONE { of.front().cloned() } else { None };
        self.all.push_back(event);
        let too_old = too_old.or_else(|| if self.all.len() > MOST { self.all.front().cloned() } else { None });
        if let Some(event) = too_old {
            self.forget(&event);
        }
    }

    fn forget(&mut self, event: &Arc<Event>) {
        // At most `MOST` comparisons, whatever there is; one for the oldest, which is what goes.
        if let Some(at) = self.all.iter().position(|other| Arc::ptr_eq(other, event)) {
            self.all.remove(at);
        }
        if let Some(of) = self.of.get_mut(&event.involved_object) {
            of.retain(|other| !Arc::ptr_eq(other, event));
            if of.is_empty() {
                self.of.remove(&event.involved_object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> ObjectReference {
        ObjectReference { kind: "App".to_owned(), name: name.to_owned() }
    }

    fn say(events: &mut Events, name: &str, message: &str, revision: u64) {
        let now = format!("2026-01-01T00:00:{:02}Z", revision % 60);
        events.say(app(name), EventType::Normal, Reason::Ready, message, Moment { now: &now, revision });
    }

    #[test]
    fn a_repeat_raises_the_count_and_becomes_the_newest() {
        let mut events = Events::default();
        for (revision, message) in [(1, "up"), (2, "down"), (3, "up")] {
            say(&mut events, "a", message, revision);
        }
        say(&mut events, "b", "up", 3);
        let told: Vec<_> = events.all.iter().map(|event| (event.metadata.name.as_str(), event.message.as_str(), event.count)).collect();
        assert_eq!(told, [("a.2", "down", 1), ("a.1", "up", 2), ("b.3", "up", 1)]);
        let up = &events.all[1];
        assert_eq!((up.first_timestamp.as_str(), up.last_timestamp.as_str()), ("2026-01-01T00:00:01Z", "2026-01-01T00:00:03Z"));
        assert_eq!(up.metadata.resource_version, "3");
    }

    #[test]
    fn the_oldest_go_first_those_of_a_noisy_object_before_those_of_others() {
        let mut events = Events::default();
        say(&mut events, "quiet", "up", 0);
        for n in 0..200 {
            say(&mut events, "noisy", &n.to_string(), n);
        }
        assert_eq!(events.all.len(), 1 + MOST_OF_ONE);
        assert_eq!((events.all[0].involved_object.name.as_str(), events.all[1].message.as_str()), ("quiet", "150"));
        for n in 0..3000 {
            say(&mut events, &format!("app-{n}"), "up", n);
        }
        assert_eq!(events.all.len(), MOST);
        assert_eq!(events.of.values().map(VecDeque::len).sum::<usize>(), MOST);
        assert_eq!(events.all[0].involved_object.name, "app-1000");
    }

    #[test]
    fn what_is_shown_already_does_not_change() {
        let mut events = Events::default();
        say(&mut events, "a", "up", 1);
        let shown = events.all();
        say(&mut events, "a", "up", 2);
        assert_eq!((shown[0].count, events.all[0].count), (1, 2));
    }

    #[test]
    fn a_message_is_bounded() {
        let mut events = Events::default();
        say(&mut events, "a", &"ä".repeat(5000), 1);
        assert_eq!(events.all[0].message.chars().count(), MESSAGE);
    }
}
