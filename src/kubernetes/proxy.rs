//! A client whose connections go through a proxy.
//!
//! The proxy is asked for a tunnel, and the API server's TLS is in the tunnel: the proxy sees host and port, and no request.

use std::{
    future::ready,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use cortecs_rules::proxy::address::{Protocol, Proxy};
use hyper::{
    Uri,
    rt::{Read, Write},
};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::{
        legacy::{
            self,
            connect::{
                Connection, HttpConnector,
                proxy::{SocksV5, Tunnel},
            },
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
};
use tower::{BoxError, Service, ServiceBuilder, service_fn};

use super::text::root_cause;

/// A client for the API server of `config`, like kube's own but for the proxy.
///
/// # Errors
/// A sentence that says why there is none.
pub(super) fn client_through(config: Config, proxy: Proxy) -> Result<Client, String> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let made = match proxy.protocol() {
        Protocol::Https => {
            // As for a server that no kubeconfig describes: with the system's authorities.
            let plain = Config::new(config.cluster_url.clone());
            let tls = plain.rustls_https_connector_with_connector(tcp);
            let tls = tls.map_err(|error| format!("cannot use {proxy} ({error})"))?;
            client(config, ThroughProxy::new(proxy, tls)?)
        }
        Protocol::Http | Protocol::Socks => client(config, ThroughProxy::new(proxy, tcp)?),
    };
    made.map_err(|error| {
        let error = root_cause(&error);
        format!("cannot use the cluster's configuration, check the kubeconfig ({error})")
    })
}

fn client<C>(config: Config, connector: C) -> kube::Result<Client>
where
    C: Service<Uri, Error = BoxError> + Clone + Send + Sync + 'static,
    C::Response: Read + Write + Connection + Unpin + Send + 'static,
    C::Future: Send,
{
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let mut connector = TimeoutConnector::new(connector);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// Connects to the proxy by `C`, and asks it for a tunnel to the server.
#[derive(Clone)]
struct ThroughProxy<C> {
    to_proxy: C,
    proxy: Proxy,
    /// Address and credentials of the proxy, decoded.
    target: Intercept,
}

impl<C> ThroughProxy<C> {
    fn new(proxy: Proxy, to_proxy: C) -> Result<Self, String> {
        let matcher = Matcher::builder().all(proxy.url_with_credentials());
        let target = matcher.build().intercept(&Uri::from_static("https://any"));
        let target = target.ok_or_else(|| format!("cannot use {proxy}: its URL is not valid"))?;
        Ok(Self {
            to_proxy,
            proxy,
            target,
        })
    }
}

impl<C> Service<Uri> for ThroughProxy<C>
where
    C: Service<Uri>,
    C::Response: Read + Write + Unpin + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.to_proxy.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connecting = self.to_proxy.call(self.target.uri().clone());
        let (proxy, target) = (self.proxy.clone(), self.target.clone());
        Box::pin(async move {
            let connection = connecting.await.map_err(|error| {
                let error = error.into();
                io::Error::other(format!(
                    "{proxy} cannot be reached: {}",
                    root_cause(error.as_ref())
                ))
            })?;
            let tunnel = tunnel(connection, proxy.protocol(), &target, with_port(server)?).await;
            tunnel.map_err(|error| {
                io::Error::other(format!(
                    "{proxy} makes no connection to the API server: {}",
                    root_cause(error.as_ref())
                ))
                .into()
            })
        })
    }
}

/// Asks the proxy at the other end of `connection` for a tunnel to the server.
async fn tunnel<T>(
    connection: T,
    protocol: Protocol,
    target: &Intercept,
    server: Uri,
) -> Result<T, BoxError>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let mut connection = Some(connection);
    let connected =
        service_fn(move |_: Uri| ready(connection.take().ok_or(io::ErrorKind::NotConnected)));
    let connected = ServiceBuilder::new()
        .map_err(io::Error::from)
        .service(connected);
    let proxy = target.uri().clone();
    match protocol {
        Protocol::Socks => {
            let mut socks = SocksV5::new(proxy, connected);
            if let Some((user, password)) = target.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            Ok(socks.call(server).await?)
        }
        Protocol::Http | Protocol::Https => {
            let mut tunnel = Tunnel::new(proxy, connected);
            if let Some(credentials) = target.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            Ok(tunnel.call(server).await?)
        }
    }
}

/// The tunnels would take 443 for the port of each scheme.
fn with_port(server: Uri) -> Result<Uri, BoxError> {
    if server.port().is_some() || server.scheme_str() != Some("http") {
        return Ok(server);
    }
    let host = server.host().unwrap_or_default();
    Ok(format!("http://{host}:80/").parse()?)
}
