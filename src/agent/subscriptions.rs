//! The subscriptions of an agent, found by Call-ID, by deadline, and by who has something to send.

use super::deadlines::Deadlines;
use super::{RequestId, Subject, WatchId};
use crate::event::Subscriber;
use crate::time::Instant;
use litemap::LiteMap;
use std::collections::VecDeque;

/// Names a subscription inside an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubscriptionId(u32);

/// What a subscription is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It feeds a watch.
    Watch(WatchId),
    /// It answers one question about this URI.
    Fetch(RequestId, String),
    /// Nobody wants it any more; it is being ended.
    Departed,
}

pub(super) struct Subscription {
    pub(super) subscriber: Subscriber,
    pub(super) subject: Subject,
    pub(super) role: Role,
    /// The last NOTIFY did not prove who sent it.
    #[cfg(feature = "full")]
    pub(super) unproved: bool,
    call_id: Option<String>,
    due: Option<Instant>,
    queued: bool,
}

#[derive(Default)]
pub(super) struct Subscriptions {
    all: LiteMap<u32, Box<Subscription>>,
    by_call_id: LiteMap<String, u32>,
    deadlines: Deadlines,
    queue: VecDeque<SubscriptionId>,
    next: u32,
}

impl Subscriptions {
    pub(super) fn insert(&mut self, subscriber: Subscriber, subject: Subject, role: Role) -> SubscriptionId {
        let id = SubscriptionId(self.next);
        self.next = self.next.wrapping_add(1);
        let new = Subscription {
            subscriber,
            subject,
            role,
            #[cfg(feature = "full")]
            unproved: false,
            call_id: None,
            due: None,
            queued: false,
        };
        self.all.insert(id.0, Box::new(new));
        self.settle(id);
        id
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.all.get(&id.0).map(|subscription| &**subscription)
    }

    /// After any change through this, call [`Self::settle`].
    pub(super) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.all.get_mut(&id.0).map(|subscription| &mut **subscription)
    }

    pub(super) fn ids(&self) -> Vec<SubscriptionId> {
        self.all.keys().copied().map(SubscriptionId).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The subscription that a NOTIFY with this Call-ID and To tag belongs to.
    pub(super) fn find(&self, call_id: &str, tag: Option<&str>) -> Option<SubscriptionId> {
        let id = *self.by_call_id.get(call_id)?;
        let (_, local_tag) = self.all.get(&id)?.subscriber.key()?;
        (Some(local_tag) == tag).then_some(SubscriptionId(id))
    }

    /// Brings the indexes up to date with a subscription that has changed, and drops it if nobody needs it.
    pub(super) fn settle(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.all.get_mut(&id.0) else { return };
        let call_id = subscription.subscriber.key().map(|(call_id, _)| call_id.to_owned());
        if call_id != subscription.call_id {
            if let Some(old) = &subscription.call_id {
                self.by_call_id.remove(old);
            }
            if let Some(new) = &call_id {
                self.by_call_id.insert(new.clone(), id.0);
            }
            subscription.call_id = call_id;
        }
        let due = subscription.subscriber.poll_timeout();
        self.deadlines.change(id.0, core::mem::replace(&mut subscription.due, due), due);
        if subscription.subscriber.is_ready() && !subscription.queued {
            subscription.queued = true;
            self.queue.push_back(id);
        }
        if subscription.subscriber.is_over() && !matches!(subscription.role, Role::Watch(_)) {
            self.all.remove(&id.0);
        }
    }

    /// Ends the interest in a subscription that is over.
    pub(super) fn remove(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.all.get_mut(&id.0) {
            subscription.role = Role::Departed;
        }
        self.settle(id);
    }

    /// The next subscription that has something to send.
    pub(super) fn next_ready(&mut self) -> Option<SubscriptionId> {
        while let Some(id) = self.queue.pop_front() {
            if let Some(subscription) = self.all.get_mut(&id.0) {
                subscription.queued = false;
                if subscription.subscriber.is_ready() {
                    return Some(id);
                }
            }
        }
        None
    }

    /// The subscriptions whose deadlines have passed, the earliest first.
    pub(super) fn due(&self, now: Instant) -> Vec<SubscriptionId> {
        self.deadlines.due(now).map(SubscriptionId).collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }
}
