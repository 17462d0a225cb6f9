//! Too many connections, too few descriptors.

use std::os::fd::AsRawFd;
use std::process::Command;

use tokio::net::TcpSocket;

use super::*;

const CHILD: &str = "ML_INFERENCE_TEST_FEW_DESCRIPTORS";

#[tokio::test]
async fn beyond_the_cap_a_connection_is_closed_when_all_are_at_work() {
    let server = Server::start(ConnectionOptions { max_connections: 2, ..patient() });
    let (mut first, mut second) = (server.client().await, server.client().await);
    for client in [&mut first, &mut second] {
        client.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n").await;
    }
    server.heard.until(|heard| heard.waiting == 2).await;
    assert_eq!(server.client().await.rest().await, "");
    server.heard.until(|heard| heard.errors == [ConnectionErrorKind::Limit] && heard.opened == 2).await;
    server.gate.notify_one();
    server.gate.notify_one();
    first.until("waited").await;
    second.until("waited").await;
}

#[tokio::test]
async fn at_the_cap_those_that_wait_longest_make_room() {
    let server = Server::start(ConnectionOptions { max_connections: 3, ..patient() });
    let mut at_work = server.client().await;
    at_work.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n").await;
    server.heard.until(|heard| heard.waiting == 1).await;
    let mut idle = server.client().await;
    idle.get().await;
    let mut trickling = server.client().await;
    trickling.send("GET /").await;
    server.heard.until(|heard| heard.opened == 3).await;
    // Refused until one has waited long enough to be closed.
    let began = Instant::now();
    let mut probe = loop {
        let mut probe = server.client().await;
        if probe.0.write_all(GET.as_bytes()).await.is_ok() && probe.rest_or_ok().await {
            break probe;
        }
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(SHORT / 4).await;
    };
    assert_eq!(idle.rest().await, "");
    probe.get().await;
    server.gate.notify_one();
    at_work.until("waited").await;
}

impl Client {
    /// Whether an answer came rather than the end.
    async fn rest_or_ok(&mut self) -> bool {
        let mut chunk = [0; 1024];
        matches!(timeout(PATIENCE, self.0.read(&mut chunk)).await.expect("no answer"), Ok(count) if count > 0)
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "tells the process that runs short from the one that starts it"
)]
fn running_out_of_descriptors_is_survived() {
    if std::env::var_os(CHILD).is_some() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(few_descriptors());
    }
    // The limit is the process': other tests must not feel it.
    let name = concat!(module_path!(), "::running_out_of_descriptors_is_survived");
    let (_, name) = name.split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn few_descriptors() {
    let server = Server::start(patient());
    server.client().await.get().await;
    // The clients have their descriptors already, so that only the server's are wanting.
    let mut sockets: Vec<_> = (0..101).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let late = sockets.pop().unwrap();
    let limit = u64::try_from(sockets[99].as_raw_fd()).unwrap() + 20;
    rlimit::Resource::NOFILE.set(limit, rlimit::Resource::NOFILE.get_hard().unwrap()).unwrap();
    let mut clients = Vec::new();
    for socket in sockets {
        clients.push(timeout(PATIENCE, socket.connect(server.addr)).await.unwrap().unwrap());
    }
    let heard = server.heard.until(|heard| heard.errors.contains(&ConnectionErrorKind::Accept)).await;
    assert!(heard.opened > 10, "{heard:?}");
    // Short of descriptors the loop waits; it does not spin.
    tokio::time::sleep(SHORT).await;
    let errors = server.heard.so_far().errors;
    let tries = errors.iter().filter(|kind| **kind == ConnectionErrorKind::Accept).count();
    assert!(tries < 40, "{tries}");
    clients.truncate(50);
    Client(timeout(PATIENCE, late.connect(server.addr)).await.unwrap().unwrap()).get().await;
}
