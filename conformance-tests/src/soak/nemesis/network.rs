//! Faults of the network between a handle and its server.

use std::time::Duration;

use rand::Rng;
use tokio::net::TcpStream;

use super::{Kind, Strike, Stroke};
use crate::{Proxy, Trouble};

/// The proxies that handles go through.
pub(in super::super) struct Network {
    pub(in super::super) proxies: Vec<Proxy>,
}

impl Strike for Network {
    fn kinds(&self) -> Vec<Kind> {
        if self.proxies.is_empty() { Vec::new() } else { Kind::NETWORK.to_vec() }
    }

    async fn strike(&mut self, stroke: Stroke) -> Option<String> {
        /// Clients do something in every tick.
        const FIRED_WITHIN: Duration = Duration::from_secs(5);
        let Stroke { kind, long, mut rng } = stroke;
        let number = rng.random_range(0..self.proxies.len());
        let proxy = &self.proxies[number];
        let send = rng.random_range(0..12);
        let trouble = match kind {
            Kind::Cut => Trouble::CutBefore(send),
            Kind::LostReply => Trouble::CutAfter(send),
            Kind::HalfReply => Trouble::CutReply(rng.random_range(1..2_000)),
            Kind::NoReply => Trouble::SilentAfter(send),
            Kind::Held => Trouble::Hold(send),
            Kind::Stall => Trouble::Silent,
            Kind::Delay => Trouble::Delay(Duration::from_millis(rng.random_range(1..60))),
            Kind::Outage => Trouble::Down,
            _ => return None,
        };
        proxy.arm(trouble).await;
        if kind == Kind::Outage {
            tokio::time::sleep(long).await;
            let refused = TcpStream::connect(proxy.address()).await.is_err();
            proxy.heal().await;
            return refused.then(|| format!("proxy {number} refused a connection"));
        }
        let fired = tokio::time::timeout(FIRED_WITHIN, proxy.until_fired()).await.is_ok();
        if fired {
            tokio::time::sleep(long).await;
        }
        let (sends, times) = (proxy.sends(), proxy.fired());
        proxy.heal().await;
        fired.then(|| format!("{trouble:?} at proxy {number}: {times} times in {sends} sends"))
    }
}
