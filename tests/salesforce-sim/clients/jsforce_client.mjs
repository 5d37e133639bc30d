// Holds the simulator against jsforce, a client that its authors did not write.
//
// Reads the simulator's ready line from the file named by the first argument. Every check compares what the client
// says with something it did not come from: the control API's truth, another API, or arithmetic.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import jsforce from 'jsforce';

const VERSION = '60.0';
const CALLBACK = 'https://app.example.com/callback';

const ready = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const org = ready.orgs[0];
const control = {
  base: `${ready.control}/orgs/${org.org_id}`,
  async get(path) {
    return (await fetch(`${this.base}/${path}`)).json();
  },
  async post(path, body) {
    const headers = { 'Content-Type': 'application/json' };
    const answer = await fetch(`${this.base}/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`);
    return answer.json();
  },
  async live(name) {
    return (await this.get('truth')).objects[name].live;
  },
};

// The value of an attribute of the first tag that has `mark` in it.
function attribute(html, mark, name) {
  const tag = html.match(/<[^>]*>/g).find((one) => one.includes(mark));
  return tag?.match(new RegExp(`${name}="([^"]*)"`))?.[1].replaceAll('&amp;', '&');
}

// Goes through the login and approval pages as a browser does, and returns where it is sent.
async function approve(url) {
  const page = await (await fetch(url)).text();
  const send = (action, fields, cookie) =>
    fetch(new URL(action, url), {
      method: 'POST',
      redirect: 'manual',
      headers: cookie ? { Cookie: cookie } : {},
      body: new URLSearchParams(fields),
    });
  const login = await send(attribute(page, '<form', 'action'), { username: org.username, pw: org.password });
  const cookie = login.headers.get('set-cookie').split(';')[0];
  const consent = await login.text();
  const confirmation = attribute(consent, 'name="confirmation"', 'value');
  const back = await send(attribute(consent, '<form', 'action'), { confirmation, save: 'Allow' }, cookie);
  assert.equal(back.status, 302);
  return new URL(back.headers.get('location'));
}

async function logins() {
  const bySoap = new jsforce.Connection({ loginUrl: ready.https, version: VERSION });
  const user = await bySoap.login(org.username, org.password);
  assert.equal(user.organizationId, org.org_id);
  assert.equal(bySoap.instanceUrl, ready.https);
  assert.equal((await bySoap.identity()).username, org.username);
  const wrong = new jsforce.Connection({ loginUrl: ready.https, version: VERSION });
  await assert.rejects(wrong.login(org.username, 'wrong'), /INVALID_LOGIN/);

  const oauth2 = new jsforce.OAuth2({
    loginUrl: ready.https,
    clientId: org.client_id,
    clientSecret: org.client_secret,
    redirectUri: CALLBACK,
  });
  const verifier = randomBytes(48).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const url = oauth2.getAuthorizationUrl({
    scope: 'api refresh_token id',
    state: 'abc',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  const back = await approve(url);
  assert.equal(back.searchParams.get('state'), 'abc');
  const conn = new jsforce.Connection({ oauth2, version: VERSION });
  const info = await conn.authorize(back.searchParams.get('code'), { code_verifier: verifier });
  assert.equal(info.organizationId, org.org_id);
  assert.ok(conn.refreshToken);
  return conn;
}

async function describes(conn) {
  const versions = await conn.request('/services/data/');
  assert.ok(versions.some((one) => one.version === VERSION));
  const global = await conn.describeGlobal();
  assert.ok(global.sobjects.some((one) => one.name === 'Case' && one.keyPrefix === '500'));
  const described = await conn.sobject('Case').describe();
  assert.deepEqual(described.fields.find((field) => field.name === 'OwnerId').referenceTo, ['Group', 'User']);
}

async function queries(conn) {
  const soql = `SELECT Id, CaseNumber, Contact.Name, Owner.Name, (SELECT Id FROM CaseComments) FROM Case ORDER BY Id`;
  const records = [];
  const query = conn.query(soql).on('record', (record) => records.push(record));
  await query.run({ autoFetch: true, maxFetch: 1_000_000 });
  assert.equal(records.length, await control.live('Case'));
  assert.ok(records.some((one) => one.Contact?.Name));
  assert.ok(records.some((one) => one.CaseComments?.totalSize > 0));

  const found = await conn.sobject('Case').find({ Id: records[0].Id }, ['Id', 'CaseNumber']);
  assert.equal(found[0].CaseNumber, records[0].CaseNumber);
  const retrieved = await conn.sobject('Case').retrieve([records[1].Id, records[0].Id]);
  assert.deepEqual(retrieved.map((one) => one.Id), [records[1].Id, records[0].Id]);
  const counted = await conn.query('SELECT COUNT() FROM EmailMessage');
  assert.equal(counted.totalSize, await control.live('EmailMessage'));
}

async function pages(conn) {
  await control.post('limits', { page_rows: 30 });
  let page = await conn.query('SELECT Id FROM Case');
  const ids = page.records.map((one) => one.Id);
  while (!page.done) {
    page = await conn.queryMore(page.nextRecordsUrl);
    ids.push(...page.records.map((one) => one.Id));
  }
  await control.post('limits', { page_rows: 0 });
  assert.equal(new Set(ids).size, await control.live('Case'));
}

async function deletions(conn) {
  const { id } = await control.post('records', { object: 'Case', fields: { Subject: 'to be deleted' } });
  const now = Date.now();
  const [start, end] = [new Date(now - 600_000), new Date(now + 120_000)];
  assert.ok((await conn.sobject('Case').updated(start, end)).ids.includes(id));
  await control.post(`records/Case/${id}/delete`, {});
  const gone = await conn.sobject('Case').deleted(start, end);
  assert.ok(gone.deletedRecords.some((one) => one.id === id));
  const soql = `SELECT Id, IsDeleted FROM Case WHERE Id = '${id}'`;
  assert.equal((await conn.query(soql)).totalSize, 0);
  assert.equal((await conn.query(soql, { scanAll: true })).records[0].IsDeleted, true);
}

async function bulk(conn) {
  conn.bulk2.pollInterval = 200;
  const soql = 'SELECT Id, Subject, Contact.Name, CreatedDate FROM Case';
  const rows = await (await conn.bulk2.query(soql)).toArray();
  assert.equal(rows.length, await control.live('Case'));
  const byRest = new Map();
  const query = conn.query(soql).on('record', (record) => byRest.set(record.Id, record));
  await query.run({ autoFetch: true, maxFetch: 1_000_000 });
  for (const row of rows) {
    const other = byRest.get(row.Id);
    assert.equal(row['Contact.Name'] ?? '', other.Contact?.Name ?? '');
    assert.equal(row.CreatedDate, other.CreatedDate.replace('+0000', 'Z'));
  }
  await assert.rejects(
    conn.bulk2.query('SELECT Id, MailingAddress FROM Contact').then((stream) => stream.toArray()),
    (error) => error.errorCode === 'API_ERROR' && /compound data/.test(error.message),
  );
}

async function files(conn) {
  const { records } = await conn.query('SELECT Id FROM Case LIMIT 1');
  const fields = { ParentId: records[0].Id, Name: 'bytes.bin', Body: 'AAECA/8=' };
  const { id } = await control.post('records', { object: 'Attachment', fields });
  const chunks = [];
  for await (const chunk of conn.sobject('Attachment').record(id).blob('Body')) chunks.push(chunk);
  assert.deepEqual([...Buffer.concat(chunks)], [0, 1, 2, 3, 255]);
}

async function errors(conn) {
  const code = (expected) => (error) => error.errorCode === expected;
  await assert.rejects(conn.query('SELECT Nope FROM Case'), code('INVALID_FIELD'));
  await assert.rejects(conn.sobject('Case').retrieve('500000000000000AAA'), code('NOT_FOUND'));
  await control.post('faults', {
    match: { path: '/limits' },
    fault: { kind: 'error', status: 403, code: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' },
  });
  await assert.rejects(conn.request(`/services/data/v${VERSION}/limits`), code('REQUEST_LIMIT_EXCEEDED'));

  // The client renews its session by itself, once, and goes on.
  const renewed = [];
  conn.on('refresh', (token) => renewed.push(token));
  await control.post('sessions/expire', {});
  assert.equal((await conn.query('SELECT COUNT() FROM Case')).totalSize, await control.live('Case'));
  assert.equal(renewed.length, 1);

  const { accessToken, refreshToken, instanceUrl, oauth2 } = conn;
  await conn.logoutByOAuth2(true);
  const kept = new jsforce.Connection({ instanceUrl, accessToken, version: VERSION });
  await assert.rejects(kept.query('SELECT Id FROM Case'), code('INVALID_SESSION_ID'));
  await assert.rejects(oauth2.refreshToken(refreshToken), /expired access\/refresh token/);
}

const conn = await logins();
for (const step of [describes, queries, pages, deletions, bulk, files]) await step(conn);
assert.ok(conn.limitInfo.apiUsage.used > 0, 'the usage header is understood');
await errors(conn);
console.log('jsforce: login, describe, queries, pages, deletions, bulk, files and errors are as expected');
