//! A proxy in front of the simulated API. While it is closed, connections are refused.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Passes connections to a server while it is open.
pub(crate) struct Gate {
    address: SocketAddr,
    server: SocketAddr,
    door: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    pub(crate) async fn open(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let door = Mutex::new(Some(tokio::spawn(pass(listener, server))));
        Self {
            address,
            server,
            door,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections, and refuses new ones.
    pub(crate) async fn close(&self) {
        let door = self
            .door
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(door) = door {
            door.abort();
            // The task's end drops the listener and all connections.
            let _ = door.await;
        }
    }

    pub(crate) async fn reopen(&self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the same port");
        let door = tokio::spawn(pass(listener, self.server));
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = Some(door);
    }
}

async fn pass(listener: TcpListener, server: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(server).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
