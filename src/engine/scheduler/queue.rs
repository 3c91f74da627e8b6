//! Requests that wait for a slot. Clients take turns, and the requests of one client keep their order.
//!
//! Each request belongs to a round: the one that is being served, or the one after its client's last request. A client
//! with many requests therefore delays a request of another by one.

use std::collections::VecDeque;

use crate::engine::ClientId;
use crate::engine::job::Job;

/// Requests that are served in one round, so that ever new clients do not delay the next round forever.
const ROUND: usize = 256;

/// The waiting requests, in the order in which they are served.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// The round that is being served.
    round: u64,
    /// The clients whose requests were served in this round.
    served: Vec<ClientId>,
}

#[derive(Debug)]
struct Waiting {
    round: u64,
    job: Job,
}

impl Queue {
    pub(super) fn push(&mut self, job: Job) {
        let round = match self.waiting.iter().rfind(|other| other.job.client == job.client) {
            Some(last) => last.round + 1,
            None if self.served.contains(&job.client) || self.served.len() >= ROUND => self.round + 1,
            None => self.round,
        };
        let place = self.waiting.partition_point(|other| other.round <= round);
        self.waiting.insert(place, Waiting { round, job });
    }

    /// Takes the request at this place to be served.
    pub(super) fn take(&mut self, place: usize) -> Option<Job> {
        let Waiting { round, job } = self.waiting.remove(place)?;
        // The rounds of requests that are passed over are not over.
        if round > self.round && self.waiting.front().is_none_or(|first| first.round >= round) {
            (self.round, self.served) = (round, Vec::new());
        }
        if self.waiting.is_empty() {
            self.served.clear();
        } else if round == self.round {
            self.served.push(job.client);
        }
        Some(job)
    }

    /// Removes a request that will not be served.
    pub(super) fn remove(&mut self, place: usize) -> Option<Job> {
        Some(self.waiting.remove(place)?.job)
    }

    pub(super) fn get(&self, place: usize) -> Option<&Job> {
        self.waiting.get(place).map(|waiting| &waiting.job)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.waiting.iter().map(|waiting| &waiting.job)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.waiting.iter_mut().map(|waiting| &mut waiting.job)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::{ClientId, Request, RequestId, SamplingParams, Token};

    fn job(id: u64, client: u64) -> Job {
        let request = Request::new(vec![Token(0)], SamplingParams::greedy());
        Job::new(RequestId(id), Request { client: ClientId(client), ..request }, None, Duration::ZERO)
    }

    fn served(queue: &mut Queue) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| queue.take(0)).map(|job| (job.client.0, job.id.0)).collect()
    }

    #[test]
    fn clients_take_turns() {
        let mut queue = Queue::default();
        (0..4).for_each(|id| queue.push(job(id, 1)));
        (4..6).for_each(|id| queue.push(job(id, 2)));
        queue.push(job(6, 3));
        assert_eq!(served(&mut queue), [(1, 0), (2, 4), (3, 6), (1, 1), (2, 5), (1, 2), (1, 3)]);
    }

    #[test]
    fn a_client_that_comes_later_waits_for_the_round_that_is_served() {
        let mut queue = Queue::default();
        (0..6).for_each(|id| queue.push(job(id, 1)));
        (0..3).for_each(|_| drop(queue.take(0)));
        queue.push(job(6, 2));
        assert_eq!(served(&mut queue), [(2, 6), (1, 3), (1, 4), (1, 5)]);
        (7..9).for_each(|id| queue.push(job(id, 1)));
        queue.push(job(9, 2));
        assert_eq!(served(&mut queue), [(1, 7), (2, 9), (1, 8)]);
    }

    #[test]
    fn a_request_that_is_taken_before_others_does_not_end_their_rounds() {
        let mut queue = Queue::default();
        (0..5).for_each(|id| queue.push(job(id, 1)));
        assert_eq!(queue.take(4).map(|job| job.id), Some(RequestId(4)));
        queue.push(job(5, 2));
        assert_eq!(served(&mut queue), [(1, 0), (2, 5), (1, 1), (1, 2), (1, 3)]);
    }

    #[test]
    fn ever_new_clients_delay_no_request_forever() {
        let mut queue = Queue::default();
        (0..2).for_each(|id| queue.push(job(id, 0)));
        let served = (2..1000).find(|&id| {
            queue.push(job(id, id));
            queue.take(0).is_some_and(|job| job.id == RequestId(1))
        });
        assert_eq!(served, Some(ROUND as u64 + 3));
    }

    proptest! {
        #[test]
        fn no_client_has_two_turns_while_another_waits_for_one(
            clients in prop::collection::vec(0u64..4, 1..40), taken in prop::collection::vec(any::<bool>(), 40),
        ) {
            let mut queue = Queue::default();
            let mut order = Vec::new();
            for (id, (&client, &take)) in (0..).zip(clients.iter().zip(&taken)) {
                queue.push(job(id, client));
                if take {
                    order.extend(queue.take(0).map(|job| (job.client.0, job.id.0)));
                }
            }
            order.extend(served(&mut queue));
            prop_assert_eq!(order.len(), clients.len());
            for (place, &(client, id)) in order.iter().enumerate() {
                let before = &order[..place];
                prop_assert!(before.iter().all(|&(other, earlier)| other != client || earlier < id));
                let own = before.iter().filter(|&&(other, _)| other == client).count();
                for other in (0..4).filter(|&other| other != client) {
                    let overtook = before.iter().filter(|&&(by, later)| by == other && later > id).count();
                    prop_assert!(overtook <= own, "{} of client {} before {}", overtook, other, id);
                }
            }
        }
    }
}
