//! A server that never gets ready.

use std::net::SocketAddr;

use super::models::slow_warmup;
use super::{Connection, Repository, Request, Server, ports, wait};

/// Milliseconds of a warm-up that only a signal ends.
pub(crate) const MINUTES: u64 = 350_000;

/// Runs `test` with the public address of a server whose only model, `slow`, is being loaded.
pub(crate) fn while_loading(test: impl FnOnce(SocketAddr)) {
    let [http, admin] = ports::free(2)[..] else { unreachable!("asked for two") };
    let repository = Repository::new().model("slow", "slow", &slow_warmup(MINUTES));
    // The builder holds the folder of the repository.
    let builder = Server::builder().repository(repository).addresses(http, admin);
    let mut process = builder.spawn();
    wait::until("the model to be listed", wait::PATIENCE, || {
        assert!(process.ended().is_none(), "it ended");
        // The listener is there before it is known what is to be loaded.
        let listed = Connection::try_open(http).ok()?.call(&Request::get("/predict"));
        listed.text().contains("\"loading\"").then_some(())
    });
    test(http);
    process.signal("TERM");
    assert!(process.wait(wait::PATIENCE).is_some(), "{}", process.stderr());
}
