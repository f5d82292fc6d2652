//! The calls.

use std::{fmt, sync::Arc};

use cortecs_clock as clock;
use reqwest::Method;
use serde::Serialize;

use crate::{
    answers::{self, Readable},
    call::Call,
    config::{ClientConfig, ConfigError, Credentials},
    error::{Cause, Error, LIST_PATH},
    http::{Request, Transport},
    id,
    outcome::Flaw,
    token::{Clock, Tokens},
    types::{Balance, HardwareType, Instance, InstanceArgs, Model},
};

/// A client of the Cortecs API for one owner's credentials. Clones share the credentials, the token and the connections.
///
/// Each HTTP request is bounded by the configured request time-out. A call may need a token first and, unless it is a
/// start or a restart, is repeated once with a new token after a 401. A start or restart therefore ends within two
/// request time-outs and is sent within the first of them, or not at all; with a token at hand (see
/// [`Client::verify_credentials`]) it is sent at once.
///
/// Ids go percent-encoded into URLs. Refused without a call are ids that are empty, `.`, `..` or longer than 256 bytes, and
/// ids of instances that name another endpoint, such as `delete-all`.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
    tokens: Tokens,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client; no call is made yet. The process must have installed a rustls provider.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Arc::new(clock::moment))
    }

    pub(super) fn with_clock(config: ClientConfig, clock: Clock) -> Result<Self, ConfigError> {
        let transport = Arc::new(Transport::new(&config)?);
        let tokens = Tokens::new(Arc::clone(&transport), config.credentials, clock);
        Ok(Self { transport, tokens })
    }

    /// Fetches a token if there is no valid one. [`RetryClass::Auth`](crate::RetryClass::Auth) if the credentials are refused.
    pub async fn verify_credentials(&self) -> Result<(), Error> {
        match self.tokens.get().await {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::new(Call::Token, Cause::clone(&cause))),
        }
    }

    /// Swaps the credentials for all clones and forgets the token, also one that is being fetched.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.tokens.set_credentials(credentials);
    }

    /// The credentials that the client works with.
    pub fn credentials(&self) -> Credentials {
        self.tokens.credentials()
    }

    /// Whether the client works with exactly these credentials.
    pub fn uses(&self, credentials: &Credentials) -> bool {
        self.tokens.credentials().same_as(credentials)
    }

    /// Every instance of the owner. An error unless each entry parses and has an id of its own.
    pub async fn list_instances(&self) -> Result<Vec<Instance>, Error> {
        let request = get(Call::ListInstances, LIST_PATH);
        self.authorized(request, answers::instances).await
    }

    /// One instance. The API answers 400 for one that it does not know.
    pub async fn get_instance(&self, instance_id: &str) -> Result<Instance, Error> {
        let call = Call::GetInstance;
        let request = get(call, &instance_path(call, instance_id)?);
        self.authorized(request, |body| same(answers::instance(body)?, instance_id))
            .await
    }

    /// Starts a new instance: one POST, never repeated. Each success makes a further billed instance.
    pub async fn start_instance(&self, args: &InstanceArgs) -> Result<Instance, Error> {
        let request = post(Call::StartInstance, "/instances/start", Some(args))?;
        self.authorized(request, answers::instance).await
    }

    /// Restarts a stopped instance under its id: one POST, never repeated.
    pub async fn restart_instance(&self, instance_id: &str) -> Result<Instance, Error> {
        self.change(Call::RestartInstance, "/instances/restart", instance_id)
            .await
    }

    /// Stops an instance; it stays, unbilled. With any 2xx that has the instance. [`Error::is_accepted`] where the API took the call
    /// and does not say what came of it.
    pub async fn stop_instance(&self, instance_id: &str) -> Result<Instance, Error> {
        self.change(Call::StopInstance, "/instances/stop", instance_id)
            .await
    }

    /// Stops every instance of the owner, also those that others started. Returns the ids of the stopped ones.
    pub async fn stop_all(&self) -> Result<Vec<String>, Error> {
        let request = post::<()>(Call::StopAll, "/instances/stop-all", None)?;
        self.authorized(request, answers::instance_ids).await
    }

    /// Deletes a stopped instance. `Ok` only on a 200 that names it; [`Error::is_accepted`] on another success.
    pub async fn delete_instance(&self, instance_id: &str) -> Result<(), Error> {
        let call = Call::DeleteInstance;
        let path = instance_path(call, instance_id)?;
        self.authorized(request(call, Method::DELETE, &path), |body| {
            // An answer that does not name what was deleted may be a proxy's.
            match answers::deleted(body)? {
                Some(deleted) if deleted == instance_id => Ok(()),
                Some(_) => Err(Flaw::Contradicts(OTHER_INSTANCE)),
                None => Err(Flaw::Unusable("it does not name the instance".into())),
            }
        })
        .await
    }

    /// Deletes every stopped instance of the owner, with `force` the running ones too. The ids of those deleted.
    pub async fn delete_all(&self, force: bool) -> Result<Vec<String>, Error> {
        let path = if force {
            "/instances/delete-all?force_deletion=true"
        } else {
            "/instances/delete-all"
        };
        let request = request(Call::DeleteAll, Method::DELETE, path);
        self.authorized(request, answers::instance_ids).await
    }

    /// The owner's balance.
    pub async fn balance(&self) -> Result<Balance, Error> {
        self.authorized(get(Call::Balance, "/user/balance"), answers::balance)
            .await
    }

    /// The catalog's models, without their hardware configurations. Needs no credentials.
    pub async fn list_models(&self) -> Result<Vec<Model>, Error> {
        self.open(get(Call::ListModels, "/models/"), answers::models)
            .await
    }

    /// The same, without the entries that cannot be read.
    pub async fn list_readable_models(&self) -> Result<Readable<Model>, Error> {
        self.open(get(Call::ListModels, "/models/"), answers::readable_models)
            .await
    }

    /// One model, with its hardware configurations. Needs no credentials.
    pub async fn get_model(&self, model_id: &str) -> Result<Model, Error> {
        let call = Call::GetModel;
        id::check_argument(model_id).map_err(|cause| Error::new(call, cause))?;
        let request = get(call, &format!("/models/{}", id::segment(model_id)));
        self.open(request, answers::model).await
    }

    /// Every hardware type. Needs no credentials.
    pub async fn list_hardware_types(&self) -> Result<Vec<HardwareType>, Error> {
        self.hardware_types(Call::ListHardwareTypes, "/hardware-types/")
            .await
    }

    /// The same, without the entries that cannot be read.
    pub async fn list_readable_hardware_types(&self) -> Result<Readable<HardwareType>, Error> {
        let request = get(Call::ListHardwareTypes, "/hardware-types/");
        self.open(request, answers::readable_hardware_types).await
    }

    /// The hardware types that are free to be rented now. Needs no credentials.
    pub async fn list_available_hardware_types(&self) -> Result<Vec<HardwareType>, Error> {
        self.hardware_types(
            Call::ListAvailableHardwareTypes,
            "/hardware-types/available",
        )
        .await
    }

    async fn hardware_types(&self, call: Call, path: &str) -> Result<Vec<HardwareType>, Error> {
        self.open(get(call, path), answers::hardware_types).await
    }

    async fn change(&self, call: Call, path: &str, instance_id: &str) -> Result<Instance, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            instance_id: &'a str,
        }
        id::check_instance(instance_id).map_err(|cause| Error::new(call, cause))?;
        let request = post(call, path, Some(&Body { instance_id }))?;
        self.authorized(request, |body| same(answers::instance(body)?, instance_id))
            .await
    }

    /// A call without a token.
    async fn open<T>(
        &self,
        request: Request,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let call = request.call;
        let secrets = self.tokens.secrets();
        self.transport
            .exchange(request, None, &secrets, parse)
            .await
            .map_err(|cause| Error::new(call, cause))
    }

    /// A call with a token; repeated once with a new one after a 401 unless it starts something.
    async fn authorized<T, E: Into<Flaw>>(
        &self,
        request: Request,
        parse: impl Fn(&[u8]) -> Result<T, E>,
    ) -> Result<T, Error> {
        let call = request.call;
        let mut may_repeat = !call.starts_billing();
        loop {
            let token = self.tokens.get().await;
            let token = token.map_err(|cause| Error::new(call, Cause::Token(cause)))?;
            let secrets = self.tokens.secrets();
            let result = self
                .transport
                .exchange(request.clone(), Some(&token.secret), &secrets, &parse)
                .await;
            if let Err(cause) = &result
                && cause.is_unauthorized()
            {
                self.tokens.forget(&token);
                if may_repeat {
                    may_repeat = false;
                    continue;
                }
            }
            return result.map_err(|cause| Error::new(call, cause));
        }
    }
}

const OTHER_INSTANCE: &str = "it is about another instance";

fn same(instance: Instance, instance_id: &str) -> Result<Instance, Flaw> {
    if instance.instance_id == instance_id {
        Ok(instance)
    } else {
        Err(Flaw::Contradicts(OTHER_INSTANCE))
    }
}

fn instance_path(call: Call, instance_id: &str) -> Result<String, Error> {
    id::check_instance(instance_id).map_err(|cause| Error::new(call, cause))?;
    Ok(format!("/instances/{}", id::segment(instance_id)))
}

fn request(call: Call, method: Method, path: &str) -> Request {
    Request {
        call,
        method,
        path: path.to_owned(),
        body: None,
    }
}

fn get(call: Call, path: &str) -> Request {
    request(call, Method::GET, path)
}

fn post<B: Serialize>(call: Call, path: &str, body: Option<&B>) -> Result<Request, Error> {
    let body = body.map(serde_json::to_vec).transpose().map_err(|_| {
        let cause = Cause::Invalid("the arguments cannot be written as JSON");
        Error::new(call, cause)
    })?;
    Ok(Request {
        body,
        ..request(call, Method::POST, path)
    })
}
