//! A forward proxy, as companies have: HTTP with `CONNECT`, and SOCKS 5, on one port. It finds hosts that nobody else finds.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The user of the proxy, and the password in the two forms in which it is sent.
pub(crate) const USER: &str = "anna";
pub(crate) const PASSWORD: &str = "hunter/2@home";
/// The password in a URL.
pub(crate) const PASSWORD_IN_URL: &str = "hunter%2F2%40home";
/// `USER:PASSWORD` in Base64.
const BASIC: &str = "Basic YW5uYTpodW50ZXIvMkBob21l";

/// The longest head of a request.
const MAX_HEAD: usize = 16 * 1024;

/// A running proxy. Dropping it stops it.
pub(crate) struct ForwardProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    asks_password: bool,
    /// The connections to each `host:port`, as clients name it.
    connections: Mutex<BTreeMap<String, usize>>,
}

impl ForwardProxy {
    /// A proxy that anybody may use, or only who has the password.
    pub(crate) async fn start(asks_password: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            asks_password,
            ..Shared::default()
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            server,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has made to this `host:port`.
    pub(crate) fn connections(&self, target: &str) -> usize {
        self.shared.lock().get(target).copied().unwrap_or_default()
    }

    /// All that it has made connections to.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.shared.lock().keys().cloned().collect()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the server. Names of other networks are those of this machine.
    async fn connect(&self, target: &str) -> io::Result<TcpStream> {
        let (host, port) = target.rsplit_once(':').unwrap_or((target, "80"));
        let is_elsewhere = host.ends_with(".svc") || host.ends_with(".test");
        let host = if is_elsewhere { "127.0.0.1" } else { host };
        let server = TcpStream::connect(format!("{host}:{port}")).await?;
        *self.lock().entry(target.to_owned()).or_default() += 1;
        Ok(server)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut clients = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // What breaks off is the client's to notice.
        clients.spawn(async move { pass(client, &shared).await.is_ok() });
    }
}

async fn pass(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    let mut server = match first[0] {
        5 => socks(&mut client, shared).await?,
        _ => http(&mut client, shared).await?,
    };
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

fn refused(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

/// A tunnel, or a request with the whole URL that is passed on.
async fn http(client: &mut TcpStream, shared: &Shared) -> io::Result<TcpStream> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD {
            return Err(refused("a long head"));
        }
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let authorized = head.lines().any(|line| {
        let header = line.split_once(": ");
        header.is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value == BASIC
        })
    });
    if shared.asks_password && !authorized {
        let answer =
            b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        client.write_all(answer).await?;
        return Err(refused("no password"));
    }
    let mut words = head.split(' ');
    let (method, url) = (words.next(), words.next().unwrap_or_default());
    if method == Some("CONNECT") {
        let server = shared.connect(url).await?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
        return Ok(server);
    }
    let rest = url.strip_prefix("http://").ok_or(refused("no URL"))?;
    let target = rest.split('/').next().unwrap_or_default();
    let mut server = shared.connect(target).await?;
    server.write_all(head.as_bytes()).await?;
    Ok(server)
}

async fn socks(client: &mut TcpStream, shared: &Shared) -> io::Result<TcpStream> {
    let [_version, count] = take(client).await?;
    let mut methods = vec![0; count.into()];
    client.read_exact(&mut methods).await?;
    let method = if shared.asks_password { 2 } else { 0 };
    if !methods.contains(&method) {
        client.write_all(&[5, 0xff]).await?;
        return Err(refused("no password"));
    }
    client.write_all(&[5, method]).await?;
    if shared.asks_password {
        let [_version] = take(client).await?;
        let (user, password) = (text(client).await?, text(client).await?);
        let right = user == USER && password == PASSWORD;
        client.write_all(&[1, u8::from(!right)]).await?;
        if !right {
            return Err(refused("a wrong password"));
        }
    }
    let [_version, _command, _reserved, kind] = take(client).await?;
    let host = match kind {
        1 => take::<4>(client)
            .await?
            .map(|byte| byte.to_string())
            .join("."),
        3 => text(client).await?,
        _ => return Err(refused("an address of another kind")),
    };
    let port = client.read_u16().await?;
    let server = shared.connect(&format!("{host}:{port}")).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(server)
}

async fn take<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A text after its length.
async fn text(client: &mut TcpStream) -> io::Result<String> {
    let [length] = take(client).await?;
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
