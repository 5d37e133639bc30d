//! A browser for tests: goes through the login and approval pages as a person does.

use reqwest::{Client, Response, redirect::Policy};

use crate::support::Sim;

pub(crate) const CALLBACK: &str = "https://app.example.com/callback";
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";

pub(crate) struct Browser<'a> {
    sim: &'a Sim,
    http: Client,
    cookie: Option<String>,
}

/// What the browser shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) location: Option<url::Url>,
    pub(crate) text: String,
}

impl Shown {
    /// A parameter of the address that the browser is sent to.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let location = self.location.as_ref()?;
        location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn expect(&self, name: &str) -> String {
        self.parameter(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Whether the browser ended on the page that leads nowhere.
    pub(crate) fn is_error_page(&self) -> bool {
        self.location.as_ref().is_some_and(|to| to.path().ends_with("/RemoteAccessErrorPage.apexp"))
    }
}

/// The S256 challenge of [`VERIFIER`].
pub(crate) fn challenge() -> String {
    use base64::Engine;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
}

impl<'a> Browser<'a> {
    pub(crate) fn new(sim: &'a Sim) -> Self {
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { sim, http, cookie: None }
    }

    async fn shown(&mut self, answer: Response) -> Shown {
        if let Some(cookie) = answer.headers().get("set-cookie") {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let base = url::Url::parse(&self.sim.url("/")).unwrap();
        let location = location.map(|to| base.join(&to).unwrap());
        Shown { status, location, text: answer.text().await.unwrap() }
    }

    /// Opens the authorization page; `changes` replace or (when empty) remove parameters.
    pub(crate) async fn open(&mut self, changes: &[(&str, &str)]) -> Shown {
        let url = self.address(changes);
        self.go(&url).await
    }

    pub(crate) fn address(&self, changes: &[(&str, &str)]) -> String {
        let challenge = challenge();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.sim.org.client_id),
            ("redirect_uri", CALLBACK),
            ("state", "s1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            parameters.retain(|(key, _)| key != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        let base = self.sim.url("/services/oauth2/authorize");
        url::Url::parse_with_params(&base, &parameters).unwrap().into()
    }

    pub(crate) async fn go(&mut self, url: &str) -> Shown {
        let mut request = self.http.get(url);
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        self.shown(answer).await
    }

    /// Sends the form of the page that is shown.
    pub(crate) async fn submit(&mut self, page: &Shown, fields: &[(&str, &str)]) -> Shown {
        let action = attribute(&page.text, "<form ", "action").expect("a form");
        let hidden = attribute(&page.text, "name=\"confirmation\"", "value");
        let mut form = fields.to_vec();
        form.extend(hidden.as_deref().map(|value| ("confirmation", value)));
        let mut request = self.http.post(self.sim.url(&action)).form(&form);
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        self.shown(answer).await
    }

    /// Logs in on the page that is shown.
    pub(crate) async fn log_in(&mut self, page: &Shown) -> Shown {
        let (username, password) = (self.sim.org.username.clone(), self.sim.org.password.clone());
        self.submit(page, &[("username", &username), ("pw", &password)]).await
    }

    /// From the authorization page to a code.
    pub(crate) async fn code(&mut self) -> String {
        let page = self.open(&[]).await;
        assert!(page.text.contains("id=\"Login\""), "{page:?}");
        let page = self.log_in(&page).await;
        let back = if page.status == 200 { self.submit(&page, &[("save", "Allow")]).await } else { page };
        assert_eq!(back.expect("state"), "s1");
        back.expect("code")
    }
}

/// The value of an attribute of the first tag that holds `mark`.
fn attribute(html: &str, mark: &str, name: &str) -> Option<String> {
    let at = html.find(mark)?;
    let start = html[..=at].rfind('<')?;
    let tag = &html[start..start + html[start..].find('>')?];
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split_once('"')?.0;
    Some(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}
