//! Numbers, not promises: run with `cargo test --release -- --ignored --nocapture gateway::measure`.

use std::time::Instant;

use super::streams::{Asked, TERMINAL, host};
use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn echo_and_throughput_through_gateway_and_link() {
    let world = World::new().await;
    world.link("fermi", host(&Asked::default())).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let mut socket = world.open(TERMINAL, &login).await;
    for flooded in [false, true] {
        let flood = flooded.then(|| world.open(TERMINAL, &login));
        let reader = match flood {
            None => None,
            Some(opening) => {
                let mut flood = opening.await;
                Some(tokio::spawn(async move {
                    loop {
                        flood.send_text("flood").await;
                        for _ in 0..1024 {
                            flood.next().await.unwrap();
                        }
                    }
                }))
            }
        };
        let mut times = Vec::new();
        for _ in 0..5000 {
            let begin = Instant::now();
            socket.send(b"k").await;
            socket.next().await.unwrap();
            times.push(begin.elapsed());
        }
        times.sort();
        println!("echo, flooded {flooded}: p50 {:?} p99 {:?}", times[2500], times[4950]);
        if let Some(reader) = reader {
            reader.abort();
        }
    }
    let begin = Instant::now();
    let mut bytes = 0;
    for _ in 0..8 {
        socket.send_text("flood").await;
        for _ in 0..1024 {
            bytes += socket.next().await.unwrap().len();
        }
    }
    println!("throughput: {:.0} MB/s", bytes as f64 / 1e6 / begin.elapsed().as_secs_f64());
}
