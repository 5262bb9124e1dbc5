//! The publication of an agent: the document it makes, and who waits for which answer.

use super::{Config, RequestId};
use crate::event::publisher::{Generation, Plan, Publisher};
use crate::presence::{PIDF, PublishedState, pidf};
use crate::random::Random;
use crate::sip::{EventType, NameAddr};
use crate::time::{Duration, Instant};

pub(super) struct Publication {
    pub(super) publisher: Publisher,
    waiting: Vec<(RequestId, Generation)>,
    entity: String,
    /// Part of every element id, so that those of two devices differ (Kamailio merges equal ones).
    device: String,
    last_timestamp: Instant,
    /// What is published, also where no server takes it.
    #[cfg(feature = "full")]
    pub(super) document: Option<crate::presence::Presence>,
}

impl Publication {
    pub(super) fn new(config: &Config, from: &NameAddr, random: &mut Random) -> Self {
        let plan = Plan {
            aor: config.aor.clone(),
            from: from.clone(),
            event: EventType::new("presence"),
            content_type: PIDF,
            expires: config.expires,
        };
        // The instance outlives a reload, and so do the ids made from it (RFC 3903 §10.4).
        let letters = config.instance.bytes().rev().filter(u8::is_ascii_alphanumeric);
        let instance: String = letters.take(12).map(char::from).collect();
        let device = if instance.is_empty() { random.token() } else { instance };
        Self {
            publisher: Publisher::new(plan),
            waiting: Vec::new(),
            entity: config.aor.text(),
            device,
            last_timestamp: Instant::default(),
            #[cfg(feature = "full")]
            document: None,
        }
    }

    /// Part of every element id.
    #[cfg(feature = "full")]
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Wishes `state` to be published. No two documents carry one timestamp (RFC 3863 §4.1.7).
    pub(super) fn publish(&mut self, request: RequestId, state: &PublishedState, now: Instant) {
        self.last_timestamp = now.max(self.last_timestamp + Duration::from_millis(1));
        let document = state.document(&self.entity, &self.device, self.last_timestamp);
        let generation = self.publisher.publish(pidf::write(&document).into_bytes());
        #[cfg(feature = "full")]
        self.document.replace(document);
        self.waiting.push((request, generation));
    }

    /// Wishes nothing to be published.
    pub(super) fn unpublish(&mut self, request: RequestId) {
        let generation = self.publisher.unpublish();
        #[cfg(feature = "full")]
        self.document.take();
        self.waiting.push((request, generation));
    }

    /// The requests that an answer about `generation` settles.
    pub(super) fn settle(&mut self, generation: Generation) -> Vec<RequestId> {
        let (settled, waiting) = self.waiting.drain(..).partition(|(_, wanted)| *wanted <= generation);
        self.waiting = waiting;
        let settled: Vec<(RequestId, Generation)> = settled;
        settled.into_iter().map(|(request, _)| request).collect()
    }

    /// All requests that still wait.
    pub(super) fn settle_all(&mut self) -> Vec<RequestId> {
        self.waiting.drain(..).map(|(request, _)| request).collect()
    }
}
