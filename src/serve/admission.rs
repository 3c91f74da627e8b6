//! How many requests are open: as many as there are slots, and a bounded number that wait. Those beyond it are refused at
//! once, with the time after which to try again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::drain::Stage;
use super::refused::Refused;
use super::security::Client;

/// Requests whose times the estimate is made from.
const RECENT: usize = 16;
/// Seconds of the estimate: at least, at most, and while there is nothing to make it from.
const LEAST: u64 = 1;
const MOST: u64 = 60;
const UNKNOWN: u64 = 5;

/// The open requests.
#[derive(Debug)]
pub(super) struct Admission {
    queue: usize,
    per_client: Option<usize>,
    stage: watch::Receiver<Stage>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    clients: HashMap<Client, usize>,
    /// Times that requests were served in, the newest last.
    recent: VecDeque<Duration>,
}

impl Admission {
    /// Admits as many requests as there are slots, and this many that wait.
    #[must_use]
    pub(super) fn new(queue: usize, per_client: Option<usize>, stage: watch::Receiver<Stage>) -> Arc<Self> {
        Arc::new(Self { queue, per_client, stage, state: Mutex::default() })
    }

    /// Checks that a request would be admitted now. Called before its body is read, so that a refusal costs little; a body
    /// that arrives slowly takes no place from others.
    ///
    /// # Errors
    ///
    /// When the server drains, the client has too many open requests, or there are too many in all.
    pub(super) fn check(&self, client: Client, slots: usize) -> Result<(), Refused> {
        self.fits(&self.lock(), client, slots)
    }

    /// Admits a request, until the result is dropped.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub(super) fn admit(self: &Arc<Self>, client: Client, slots: usize) -> Result<Permit, Refused> {
        let mut state = self.lock();
        self.fits(&state, client, slots)?;
        state.open += 1;
        *state.clients.entry(client).or_default() += 1;
        Ok(Permit { admission: Arc::clone(self), client })
    }

    /// The number of open requests.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    fn fits(&self, state: &State, client: Client, slots: usize) -> Result<(), Refused> {
        if *self.stage.borrow() > Stage::Running {
            return Err(Refused::Draining);
        }
        let retry_after = state.retry_after(slots);
        let of_client = state.clients.get(&client).copied().unwrap_or(0);
        match self.per_client {
            Some(limit) if of_client >= limit => Err(Refused::ClientLimit { limit, retry_after }),
            _ if state.open >= slots.saturating_add(self.queue) => {
                Err(Refused::QueueFull { open: state.open, retry_after })
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The seconds in which the open requests are served, as fast as the last ones were.
    fn retry_after(&self, slots: usize) -> u64 {
        let Ok(number @ 1..) = u32::try_from(self.recent.len()) else { return UNKNOWN };
        let mean = self.recent.iter().sum::<Duration>() / number;
        let rounds = u32::try_from(self.open.div_ceil(slots.max(1))).unwrap_or(u32::MAX);
        let all = mean.saturating_mul(rounds);
        (all.as_secs() + u64::from(all.subsec_nanos() > 0)).clamp(LEAST, MOST)
    }
}

/// The place of an admitted request; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    client: Client,
}

impl Permit {
    /// Gives up the place of a request that was served to its end, in this time without waiting, for the estimate.
    pub(super) fn complete(self, served: Duration) {
        let mut state = self.admission.lock();
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(served);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.open -= 1;
        if let Some(number) = state.clients.get_mut(&self.client) {
            *number -= 1;
            if *number == 0 {
                state.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::drain::Drain;

    fn address(last: u8) -> Client {
        Client::Address([10, 0, 0, last].into())
    }

    #[test]
    fn slots_and_queue_are_admitted_and_places_come_back() {
        let drain = Drain::default();
        let admission = Admission::new(3, None, drain.stage());
        let mut permits: Vec<_> = (0..5).map(|_| admission.admit(Client::Local, 2).unwrap()).collect();
        let full = Refused::QueueFull { open: 5, retry_after: UNKNOWN };
        assert_eq!(admission.check(Client::Local, 2), Err(full.clone()));
        assert_eq!(admission.admit(Client::Local, 2).unwrap_err(), full);
        permits.pop();
        assert!(admission.check(Client::Local, 2).is_ok());
        permits.clear();
        assert_eq!((admission.open(), admission.lock().clients.len()), (0, 0));
    }

    #[test]
    fn one_client_has_its_own_limit() {
        let drain = Drain::default();
        let admission = Admission::new(3, Some(2), drain.stage());
        let permits = [admission.admit(address(1), 2).unwrap(), admission.admit(address(1), 2).unwrap()];
        let refused = admission.admit(address(1), 2).unwrap_err();
        assert_eq!(refused, Refused::ClientLimit { limit: 2, retry_after: UNKNOWN });
        assert!(admission.admit(address(2), 2).is_ok());
        drop(permits);
        assert!(admission.admit(address(1), 2).is_ok());
    }

    #[test]
    fn the_time_to_wait_comes_from_the_last_requests() {
        let after = |recent: &[u64], open| {
            let recent = recent.iter().map(|ms| Duration::from_millis(*ms)).collect();
            State { open, recent, ..State::default() }.retry_after(2)
        };
        assert_eq!(after(&[], 4), 5);
        assert_eq!(after(&[1], 4), 1);
        assert_eq!(after(&[2000, 4000], 4), 6);
        assert_eq!(after(&[2100], 2), 3);
        assert_eq!(after(&[3_600_000], 4), 60);
        let drain = Drain::default();
        let admission = Admission::new(2, None, drain.stage());
        for _ in 0..40 {
            admission.admit(Client::Local, 2).unwrap().complete(Duration::ZERO);
        }
        drop(admission.admit(Client::Local, 2).unwrap());
        assert_eq!((admission.open(), admission.lock().recent.len()), (0, RECENT));
    }

    #[test]
    fn a_server_that_drains_admits_nothing() {
        let drain = Drain::default();
        let admission = Admission::new(2, None, drain.stage());
        drain.advance(Stage::Draining);
        assert_eq!(admission.check(Client::Local, 2), Err(Refused::Draining));
    }
}
