//! How often one address may be wrong. Values only: `now` is handed in.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const FAILURES: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses remembered at once. When it is full, whoever failed longest ago is forgotten.
const MAX_ADDRESSES: usize = 10_000;

#[derive(Default)]
pub struct FailureLimit {
    failures: HashMap<Source, VecDeque<Instant>>,
}

/// An IPv6 user has a whole /64, so that counts as one address. `None`: the listener did not tell.
type Source = Option<IpAddr>;

impl FailureLimit {
    /// `Err` says how long to wait.
    pub fn check(&mut self, address: Source, now: Instant) -> Result<(), Duration> {
        let Some(times) = self.failures.get_mut(&normal(address)) else { return Ok(()) };
        while times.front().is_some_and(|time| now.duration_since(*time) >= WINDOW) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= FAILURES => Err(WINDOW - now.duration_since(*first)),
            Some(_) | None => Ok(()),
        }
    }

    pub fn failed(&mut self, address: Source, now: Instant) {
        if self.failures.len() >= MAX_ADDRESSES {
            self.failures.retain(|_, times| times.back().is_some_and(|time| now.duration_since(*time) < WINDOW));
        }
        if self.failures.len() >= MAX_ADDRESSES {
            let oldest = self.failures.iter().min_by_key(|(_, times)| times.back().copied()).map(|(source, _)| *source);
            if let Some(oldest) = oldest {
                self.failures.remove(&oldest);
            }
        }
        let times = self.failures.entry(normal(address)).or_default();
        if times.len() == FAILURES {
            times.pop_front();
        }
        times.push_back(now);
    }
}

fn normal(address: Source) -> Source {
    match address {
        Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => Some(v4.into()),
            None => Some(std::net::Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into()),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_in_a_minute_close_the_door_for_that_address_only() {
        let mut limit = FailureLimit::default();
        let start = Instant::now();
        let address = Some("10.0.0.1".parse().unwrap());
        for second in 0..10 {
            let now = start + Duration::from_secs(second);
            assert_eq!(limit.check(address, now), Ok(()));
            limit.failed(address, now);
        }
        assert_eq!(limit.check(address, start + Duration::from_secs(10)), Err(Duration::from_secs(50)));
        assert_eq!(limit.check(Some("10.0.0.2".parse().unwrap()), start), Ok(()));
        assert_eq!(limit.check(Some("::ffff:10.0.0.1".parse().unwrap()), start), Err(Duration::from_secs(60)));
        assert_eq!(limit.check(address, start + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn a_64_counts_as_one_address() {
        let mut limit = FailureLimit::default();
        let now = Instant::now();
        for n in 0..10u128 {
            let address = std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | n);
            limit.failed(Some(address.into()), now);
        }
        assert!(limit.check(Some("2001:db8::ffff".parse().unwrap()), now).is_err());
        assert!(limit.check(Some("2001:db8:0:1::1".parse().unwrap()), now).is_ok());
    }

    #[test]
    fn the_table_does_not_grow_without_end() {
        let mut limit = FailureLimit::default();
        let now = Instant::now();
        for n in 0..(MAX_ADDRESSES as u32 + 50) {
            limit.failed(Some(std::net::Ipv4Addr::from_bits(n).into()), now);
        }
        assert!(limit.failures.len() <= MAX_ADDRESSES);
    }
}
