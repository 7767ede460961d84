//! Numbers, not promises: run with `cargo test --release -- --ignored --nocapture gateway::measure`.

use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use super::streams::{Asked, TERMINAL, host};
use super::world::{Socket, World, connect};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn echo_and_throughput_through_gateway_and_link() {
    let world = World::new().await;
    world.link("fermi", host(&Asked::default())).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let mut socket = world.open(TERMINAL, &login).await;
    let mut direct = direct().await;
    let times = echoes(&mut direct).await;
    println!("echo, same host without gateway and link: p50 {:?} p99 {:?}", times[2500], times[4950]);
    println!("throughput, same host without gateway and link: {:.0} MB/s", throughput(&mut direct).await);
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
        let times = echoes(&mut socket).await;
        println!("echo, flooded {flooded}: p50 {:?} p99 {:?}", times[2500], times[4950]);
        if let Some(reader) = reader {
            reader.abort();
        }
    }
    println!("throughput: {:.0} MB/s", throughput(&mut socket).await);
}

async fn echoes(socket: &mut Socket) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..5000 {
        let begin = Instant::now();
        socket.send(b"k").await;
        socket.next().await.unwrap();
        times.push(begin.elapsed());
    }
    times.sort();
    times
}

async fn throughput(socket: &mut Socket) -> f64 {
    let begin = Instant::now();
    let mut bytes = 0;
    for _ in 0..4 {
        socket.send_text("flood").await;
        for _ in 0..1024 {
            bytes += socket.next().await.unwrap().len();
        }
    }
    bytes as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

/// The host's own router on a socket of its own.
async fn direct() -> Socket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
    tokio::spawn(async move { axum::serve(listener, host(&Asked::default())).await });
    connect(address, "/agents/u-1/terminal", &[]).await.unwrap()
}
