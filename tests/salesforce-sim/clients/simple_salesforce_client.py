"""Holds the simulator against simple-salesforce, a client that its authors did not write.

Reads the simulator's ready line from the file named by the first argument. Every check compares what the client says
with something it did not come from: the control API's truth, another API, or arithmetic.
"""

import csv
import datetime
import io
import json
import socket
import sys
import urllib.request

from simple_salesforce import Salesforce, SalesforceLogin
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

VERSION = "60.0"


def lead_platform_hosts_to(port):
    """Resolves *.salesforce.com to the simulator, so that the client can use the hosts it insists on."""
    resolve = socket.getaddrinfo

    def resolved(host, wanted_port, *arguments, **options):
        if isinstance(host, str) and host.endswith(".salesforce.com"):
            return resolve("127.0.0.1", port, *arguments, **options)
        return resolve(host, wanted_port, *arguments, **options)

    socket.getaddrinfo = resolved


class Control:
    """The simulator's control API."""

    def __init__(self, ready):
        self.base = f"{ready['control']}/orgs/{ready['orgs'][0]['org_id']}"

    def get(self, path):
        with urllib.request.urlopen(f"{self.base}/{path}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path, body):
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.base}/{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def live(self, name):
        return self.get("truth")["objects"][name]["live"]


def refused(kind, call):
    """The error that a call raises."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def logins(ready, control):
    """Every way in that the client knows; returns one session."""
    org, host = ready["orgs"][0], ready["https"].removeprefix("https://")
    by_soap = Salesforce(
        username=org["username"], password=org["password"], security_token="", version=VERSION,
        domain="login",
    )
    assert by_soap.sf_instance == host, by_soap.sf_instance
    domain = "acme.my"
    session, instance = SalesforceLogin(
        consumer_key=org["client_id"], consumer_secret=org["client_secret"], domain=domain,
        sf_version=VERSION,
    )
    assert instance == "acme.my.salesforce.com" and "!" in session
    session, _ = SalesforceLogin(
        username=org["username"], consumer_key=org["client_id"], privatekey_file=org["jwt_key_file"],
        domain=domain, instance_url=domain, sf_version=VERSION,
    )
    by_jwt = Salesforce(session_id=session, instance="acme.my.salesforce.com", version=VERSION)
    assert by_jwt.query("SELECT COUNT() FROM Case")["totalSize"] == control.live("Case")
    Salesforce(
        username=org["username"], password=org["password"], consumer_key=org["client_id"],
        consumer_secret=org["client_secret"], domain="login", version=VERSION,
    )
    wrong = refused(
        SalesforceAuthenticationFailed,
        lambda: Salesforce(
            username=org["username"], password="wrong", security_token="", version=VERSION,
            domain="login",
        ),
    )
    assert wrong.code == "INVALID_LOGIN", wrong.code
    return by_soap


def describes(sf):
    names = {entry["name"] for entry in sf.describe()["sobjects"]}
    assert {"Case", "Contact", "EmailMessage"} <= names
    case = sf.Case.describe()
    fields = {field["name"]: field for field in case["fields"]}
    assert fields["OwnerId"]["referenceTo"] == ["Group", "User"]
    assert fields["Status"]["picklistValues"]
    assert case["recordTypeInfos"]


def queries(sf, control):
    soql = "SELECT Id, CaseNumber, Contact.Name, Owner.Name, (SELECT Id, CommentBody FROM CaseComments) FROM Case"
    everything = sf.query_all(soql)
    assert len(everything["records"]) == everything["totalSize"] == control.live("Case")
    parents = [row["Contact"]["Name"] for row in everything["records"] if row["Contact"]]
    assert parents and all(parents)
    assert any(row["CaseComments"] for row in everything["records"])
    one = everything["records"][0]["Id"]
    assert sf.Case.get(one)["Id"] == one
    lazily = list(sf.query_all_iter("SELECT Id FROM EmailMessage"))
    assert len(lazily) == control.live("EmailMessage")
    assert len({row["Id"] for row in lazily}) == len(lazily)


def deletions(sf, control):
    made = control.post("records", {"object": "Case", "fields": {"Subject": "to be deleted"}})["id"]
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = now - datetime.timedelta(minutes=10), now + datetime.timedelta(minutes=2)
    assert made in sf.Case.updated(start, end)["ids"]
    control.post(f"records/Case/{made}/delete", {})
    gone = [row["id"] for row in sf.Case.deleted(start, end)["deletedRecords"]]
    assert gone == [made], gone
    soql = f"SELECT Id, IsDeleted FROM Case WHERE Id = '{made}'"
    assert sf.query_all(soql)["totalSize"] == 0
    deleted = sf.query_all(soql, include_deleted=True)
    assert deleted["records"][0]["IsDeleted"] is True


def bulk(sf, control):
    soql = "SELECT Id, Subject, Description, CreatedDate FROM Case"
    sets = list(sf.bulk2.Case.query(soql, max_records=100))
    rows = [row for text in sets for row in csv.DictReader(io.StringIO(text))]
    assert len(sets) == -(-control.live("Case") // 100)
    assert len(rows) == control.live("Case")
    by_rest = {row["Id"]: row for row in sf.query_all(soql)["records"]}
    for row in rows:
        other = by_rest[row["Id"]]
        assert row["CreatedDate"] == other["CreatedDate"].replace("+0000", "Z")
        assert row["Subject"] == (other["Subject"] or "")
    refusal = refused(
        SalesforceMalformedRequest, lambda: list(sf.bulk2.Case.query("SELECT COUNT(Id) FROM Case"))
    )
    assert refusal.content[0]["errorCode"] == "API_ERROR", refusal.content


def files(sf, control):
    case = sf.query("SELECT Id FROM Case LIMIT 1")["records"][0]["Id"]
    fields = {"ParentId": case, "Name": "bytes.bin", "Body": "AAECA/8="}
    made = control.post("records", {"object": "Attachment", "fields": fields})["id"]
    url = f"{sf.base_url}sobjects/Attachment/{made}/Body"
    answer = sf.session.get(url, headers=sf.headers, timeout=60)
    assert answer.content == b"\x00\x01\x02\x03\xff", answer.content


def errors(sf, control):
    bad = refused(SalesforceMalformedRequest, lambda: sf.query("SELECT Nope FROM Case"))
    assert bad.content[0]["errorCode"] == "INVALID_FIELD"
    missing = refused(SalesforceResourceNotFound, lambda: sf.Case.get("500000000000000AAA"))
    assert missing.content[0]["errorCode"] == "NOT_FOUND"
    soql = "SELECT COUNT() FROM Case"
    without_login = Salesforce(session_id=sf.session_id, instance=sf.sf_instance, version=VERSION)
    assert without_login.query(soql)["totalSize"] == control.live("Case")
    control.post("sessions/expire", {})
    expired = refused(SalesforceExpiredSession, lambda: without_login.query(soql))
    assert expired.content[0]["errorCode"] == "INVALID_SESSION_ID"
    # A client that knows the password renews its session by itself and goes on.
    assert sf.query(soql)["totalSize"] == control.live("Case")
    assert sf.session_id != without_login.session_id


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ready = json.load(file)
    lead_platform_hosts_to(int(ready["https"].rsplit(":", 1)[1]))
    control = Control(ready)
    sf = logins(ready, control)
    before = control.get("calls")["api"]
    for step in (describes, lambda sf: queries(sf, control), lambda sf: deletions(sf, control),
                 lambda sf: bulk(sf, control), lambda sf: files(sf, control)):
        step(sf)
    assert sf.limits()["DailyApiRequests"]["Max"] == 100_000
    usage = sf.api_usage["api-usage"]
    assert int(usage.used) > before, "the usage header is understood"
    errors(sf, control)
    print("simple-salesforce: login, describe, queries, deletions, bulk, files and errors are as expected")


main()
