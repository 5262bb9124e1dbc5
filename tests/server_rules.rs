//! Rules that users make (RFC 5025), kept by the server (RFC 4825): who reads and writes them, and that they are obeyed.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::World;
use sip_presence::agent::{WatchId, Watching};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::presence::pres_rules::{AUTH_POLICY, Handling, edit};
use sip_presence::server::xcap::{Answer, Request};
use sip_presence::server::{Config, Event, Output, Rule};
use sip_presence::sip::auth::{Challenge, DigestCredentials, Protected, Secret};
use sip_presence::time::{Duration, Instant};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PATH: &str = "/pres-rules/users/sip:alice@example.com/index";
const BOB: &str = "sip:bob@example.com";
const CAROL: &str = "sip:carol@example.com";

/// A world whose default is `otherwise`, with Alice busy, and Bob and Carol who watch her.
fn world(seed: u8, otherwise: Decision) -> (World, [(usize, WatchId); 2]) {
    world_with(seed, |config| config.rules.otherwise = otherwise)
}

fn world_with(seed: u8, adjust: impl FnOnce(&mut Config)) -> (World, [(usize, WatchId); 2]) {
    let mut world = World::with(seed, adjust);
    let alice = world.seat("alice");
    world.publish(alice, Status::Busy, "here");
    let watches = ["bob", "carol"].map(|name| {
        let seat = world.seat(name);
        (seat, world.watch(seat, "alice"))
    });
    world.seconds(10);
    (world, watches)
}

fn plain<'a>(method: &'a str, path: &'a str, body: &'a str) -> Request<'a> {
    Request {
        method,
        path,
        authorization: None,
        content_type: Some(AUTH_POLICY),
        if_match: None,
        if_none_match: None,
        body: body.as_bytes(),
    }
}

/// What the server answers to `request`; what it sends meanwhile arrives.
fn ask(world: &mut World, request: &Request<'_>) -> Answer {
    let answer = world.tell_server(|server, now| server.handle_xcap(request, now));
    world.seconds(10);
    answer
}

/// The same, once challenged, with credentials of `user` for a `uri` in front of which is `root`.
fn ask_as(world: &mut World, user: &str, root: &str, request: Request<'_>) -> Answer {
    let challenged = ask(world, &request);
    if challenged.status != 401 {
        return challenged;
    }
    let row = header(&challenged, "WWW-Authenticate").unwrap();
    let challenge = Challenge::parse(&row).unwrap();
    let secret = Secret::Password(["pw-", user].concat());
    let uri = [root, request.path].concat();
    let protected = Protected { method: request.method, uri: &uri, body: request.body };
    let row = DigestCredentials::answer(&challenge, user, &secret, protected, "c", 1).unwrap().to_string();
    ask(world, &Request { authorization: Some(&row), ..request })
}

fn by_alice(world: &mut World, request: Request<'_>) -> Answer {
    ask_as(world, "alice", "/xcap", request)
}

fn put(world: &mut World, rules: &str) -> Answer {
    by_alice(world, plain("PUT", PATH, rules))
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

/// Rules as a page writes them.
fn written(rules: &[(&str, Handling)]) -> String {
    let start = Instant::from_millis(0);
    rules.iter().fold(String::new(), |text, (who, handling)| edit(&text, who, *handling, start).unwrap())
}

fn ruleset(rules: &str) -> String {
    [
        "<cr:ruleset xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\" xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\">",
        rules,
        "</cr:ruleset>",
    ]
    .concat()
}

/// A rule that allows Bob under more conditions, and shows `shown`.
fn rule(conditions: &str, shown: &str) -> String {
    ruleset(
        &[
            "<cr:rule id=\"a\"><cr:conditions><cr:identity><cr:one id=\"sip:bob@example.com\"/></cr:identity>",
            conditions,
            "</cr:conditions><cr:actions><pr:sub-handling>allow</pr:sub-handling></cr:actions><cr:transformations>",
            shown,
            "</cr:transformations></cr:rule>",
        ]
        .concat(),
    )
}

const ALL: &str = "<pr:provide-services><pr:all-services/></pr:provide-services>\
    <pr:provide-persons><pr:all-persons/></pr:provide-persons><pr:provide-all-attributes/>";

fn state(world: &World, (seat, watch): (usize, WatchId)) -> Watching {
    world.view(seat, watch).subscription.state
}

#[test]
fn who_waits_is_allowed_and_blocked_by_the_user_who_is_watched() {
    // 5025-3.2.1-a 5025-3.2.1-b 3856-6.11.1-e
    let (mut world, [bob, carol]) = world(90, Decision::Confirm);
    assert_eq!((state(&world, bob), state(&world, carol)), (Watching::Pending, Watching::Pending));
    let answer = put(&mut world, &written(&[(BOB, Handling::Allow)]));
    assert_eq!(answer.status, 201);
    assert_eq!(world.sees(bob.0, bob.1), (Status::Busy, Some("here".to_owned())));
    assert_eq!(state(&world, carol), Watching::Pending, "nobody has said anything of her");
    for (handling, sees) in [
        (Handling::PoliteBlock, Some((Status::Offline, None))),
        (Handling::Allow, Some((Status::Busy, Some("here".to_owned())))),
        (Handling::Confirm, None),
        (Handling::Block, None),
    ] {
        let rules = written(&[(BOB, handling), (CAROL, Handling::Allow)]);
        assert_eq!(put(&mut world, &rules).status, 200);
        match (handling, sees) {
            (_, Some(sees)) => assert_eq!(world.sees(bob.0, bob.1), sees, "{handling:?}"),
            (Handling::Confirm, None) => assert_eq!(state(&world, bob), Watching::Pending),
            (_, None) => assert_eq!(state(&world, bob), Watching::Terminated),
        }
        assert_eq!(world.sees(carol.0, carol.1).0, Status::Busy);
    }
    // Without rules of the user those of the configuration are left.
    assert_eq!(by_alice(&mut world, plain("DELETE", PATH, "")).status, 200);
    assert_eq!(state(&world, carol), Watching::Pending);
}

#[test]
fn the_program_decides_before_the_user_and_the_user_before_the_configuration() {
    let allow = Rule { presentity: None, watcher: "bob".to_owned(), decision: Decision::Allow, show: None };
    let (mut world, [bob, _]) = world_with(91, |config| config.rules.watchers.push(allow));
    assert_eq!(world.sees(bob.0, bob.1).0, Status::Busy);
    put(&mut world, &written(&[(BOB, Handling::PoliteBlock)]));
    assert_eq!(world.sees(bob.0, bob.1).0, Status::Offline);
    assert!(world.tell_server(|server, now| server.set_policy("alice", "bob", Decision::Confirm, now)));
    world.seconds(10);
    assert_eq!(state(&world, bob), Watching::Pending);
    put(&mut world, &written(&[(BOB, Handling::Allow)]));
    assert_eq!(state(&world, bob), Watching::Pending, "the program has said so");
}

#[test]
fn rules_survive_a_restart_with_their_entity_tags() {
    let (mut world, [bob, _]) = world(92, Decision::Confirm);
    let rules = written(&[(BOB, Handling::Allow)]);
    let tag = header(&put(&mut world, &rules), "ETag").unwrap();
    let kept = world.server.state().unwrap();
    world.restart_server();
    world.server.restore(&kept, world.now).unwrap();
    world.seconds(60);
    assert_eq!(world.sees(bob.0, bob.1), (Status::Busy, Some("here".to_owned())));
    let read = by_alice(&mut world, plain("GET", PATH, ""));
    assert_eq!((read.status, &read.body, header(&read, "ETag")), (200, &rules, Some(tag)));
    let broken = kept.replace("common-policy", "uncommon-policy");
    let error = world.server.restore(&broken, world.now).unwrap_err().to_string();
    assert!(error.starts_with("rules.alice: "), "{error}");
    let unknown = kept.replace("\"alice\"", "\"zed\"");
    world.server.restore(&unknown, world.now).unwrap();
    let told = core::iter::from_fn(|| world.server.poll());
    assert!(
        told.into_iter().any(|output| output == Output::Event(Event::Ignored { user: "zed".to_owned() }))
    );
}

#[test]
fn what_is_not_shown_is_not_shown() {
    // 4745-7-a 4745-7.1-a 4745-10-a 5025-3.3.1-a 5025-3.3.2-b 5025-3.3.2-d
    let (mut world, [bob, carol]) = world(93, Decision::Allow);
    for (shown, sees) in [
        (ALL, (Status::Busy, Some("here"))),
        // Without services nothing says that there is one, and then nobody is there.
        ("", (Status::Unknown, None)),
        ("<pr:provide-services><pr:all-services/></pr:provide-services>", (Status::Available, None)),
        (
            "<pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-persons><pr:all-persons/>\
             </pr:provide-persons><pr:provide-activities>true</pr:provide-activities>",
            (Status::Busy, None),
        ),
        // One that is selected is not known here, so that it is not shown.
        (
            "<pr:provide-services><pr:service-uri>sip:alice@example.com</pr:service-uri></pr:provide-services>",
            (Status::Unknown, None),
        ),
        (ALL, (Status::Busy, Some("here"))),
    ] {
        put(&mut world, &rule("", shown));
        assert_eq!(world.sees(bob.0, bob.1), (sees.0, sees.1.map(str::to_owned)), "{shown}");
        assert_eq!(world.sees(carol.0, carol.1).0, Status::Busy, "no rule is about her");
    }
}

#[test]
fn conditions_that_do_not_hold_or_are_not_known_give_nothing() {
    // 4745-7.1-a 4745-7.1-b 4745-7.1-c
    let (mut world, [bob, _]) = world(94, Decision::PoliteBlock);
    let many = |inside: &str| {
        ruleset(
            &[
                "<cr:rule id=\"a\"><cr:conditions><cr:identity>",
                inside,
                "</cr:identity></cr:conditions><cr:actions><pr:sub-handling>allow</pr:sub-handling></cr:actions>\
                 <cr:transformations>",
                ALL,
                "</cr:transformations></cr:rule>",
            ]
            .concat(),
        )
    };
    for (rules, holds) in [
        (rule("", ALL), true),
        (rule("<cr:sphere value=\"work\"/>", ALL), false),
        (rule("<x:weather xmlns:x=\"urn:x\">fine</x:weather>", ALL), false),
        (
            rule(
                "<cr:validity><cr:from>soon</cr:from><cr:until>2099-01-01T00:00:00Z</cr:until></cr:validity>",
                ALL,
            ),
            false,
        ),
        (many("<cr:many/>"), true),
        (many("<cr:many domain=\"EXAMPLE.com\"/>"), true),
        (many("<cr:many domain=\"example.org\"/>"), false),
        (many("<cr:many><cr:except id=\"sip:bob@example.com\"/></cr:many>"), false),
        (many("<cr:many><cr:except domain=\"example.com\"/></cr:many>"), false),
        (many("<cr:many><cr:except id=\"sip:carol@example.com\"/></cr:many>"), true),
        (many("<cr:many><cr:except id=\"sip:b%6Fb@example.com\"/></cr:many>"), false),
        (many("<cr:many><cr:except id=\"sip:carol@example.com\" domain=\"example.org\"/></cr:many>"), false),
        (many("<cr:one id=\"sip:%62ob@example.com\"/>"), true),
        (many("<cr:one id=\"sip:bob%@example.com\"/>"), false),
        (many("<cr:one id=\"sip:bob%00@example.com\"/>"), false),
        (many("<cr:many><cr:except team=\"blue\"/></cr:many>"), false),
        (many("<cr:one id=\"sip:carol@example.com\"/><cr:one id=\"SIP:bob@EXAMPLE.com\"/>"), true),
        (many("<cr:one id=\"pres:bob@example.com\"/>"), false),
        (many(""), false),
    ] {
        assert!(matches!(put(&mut world, &rules).status, 200 | 201), "{rules}");
        let sees = if holds { Status::Busy } else { Status::Offline };
        assert_eq!(world.sees(bob.0, bob.1).0, sees, "{rules}");
    }
}

#[test]
fn a_rule_begins_and_ends_to_be_valid_while_somebody_watches() {
    let (mut world, [bob, _]) = world(95, Decision::Confirm);
    // 4745-7.4-a
    // The clock of these worlds begins on 2026-01-01.
    let validity = "<cr:validity><cr:from>2026-01-01T01:00:00Z</cr:from><cr:until>2026-01-01T02:00:00Z</cr:until>\
        <cr:from>2026-01-01T03:00:00Z</cr:from><cr:until>2026-01-01T04:00:00Z</cr:until></cr:validity>";
    let began = common::START;
    put(&mut world, &rule(validity, ALL));
    for (hour, active) in [(0, false), (1, true), (2, false), (3, true), (4, false)] {
        let at = began + Duration::from_secs(hour * 3600 + 60);
        if at > world.now {
            world.run(at.since(world.now));
        }
        let expected = if active { Watching::Active } else { Watching::Pending };
        assert_eq!(state(&world, bob), expected, "{hour}");
    }
    assert!(world.server.poll_timeout().is_none_or(|(_, why)| why != "rules"));
}

#[test]
fn only_the_user_has_a_way_to_the_rules() {
    let (mut world, _) = world(96, Decision::Confirm);
    let rules = written(&[(BOB, Handling::Allow)]);
    assert_eq!(put(&mut world, &rules).status, 201);
    let challenged = ask(&mut world, &plain("GET", PATH, ""));
    assert_eq!((challenged.status, challenged.body.as_str()), (401, ""));
    assert!(header(&challenged, "WWW-Authenticate").unwrap().contains("realm=\"example.com\""));
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        assert_eq!(ask_as(&mut world, "bob", "/xcap", plain(method, PATH, &rules)).status, 403);
    }
    assert_eq!(ask(&mut world, &plain("POST", PATH, "")).status, 405);
    // Whether there is such a user is not for strangers.
    let nobody = plain("GET", "/pres-rules/users/sip:zed@example.com/index", "");
    assert_eq!(ask(&mut world, &nobody).status, 401);
    for path in [
        "",
        "/",
        "/pres-rules",
        "/pres-rules/global/index",
        "/pres-rules/users/sip:alice@example.com",
        "/pres-rules/users/sip:alice@example.com/",
        "/pres-rules/users/sip:alice@example.com/other",
        "/pres-rules/users/sip:alice@example.com/index/",
        "/pres-rules/users/sip:alice@example.com/index/~~/ruleset/rule",
        "/pres-rules/users/sip:alice@example.com/index?xmlns(a=b)",
        "/pres-rules/users/../sip:alice@example.com/index",
        "/pres-rules/users/bob/../sip:alice@example.com/index",
        "/pres-rules/users/..%2fsip:alice@example.com/index",
        "/pres-rules/users/sip:alice@example.org/index",
        "/pres-rules/users/sip:zed@example.com/index",
        "/pres-rules/users/sip:alice@example.com;x=y/index",
        "/pres-rules/users/sip:alice@example.com:5060/index",
        "/pres-rules/users/alice/index",
        "/pres-rules/users/%ff/index",
        "/resource-lists/users/sip:alice@example.com/index",
    ] {
        assert_eq!(by_alice(&mut world, plain("GET", path, "")).status, 404, "{path}");
    }
    // Other spellings of the same address, and a root that a proxy has cut off.
    for path in [
        "/pres-rules/users/sip%3Aalice%40example.com/index",
        "/pres-rules/users/sip:%61lice@EXAMPLE.com/index",
    ] {
        let read = by_alice(&mut world, plain("GET", path, ""));
        assert_eq!((read.status, read.body.as_str()), (200, rules.as_str()));
    }
    for root in ["", "/a/b/xcap", "https://presence.example.com/xcap"] {
        assert_eq!(ask_as(&mut world, "alice", root, plain("GET", PATH, "")).status, 200, "{root}");
    }
}

#[test]
fn credentials_are_for_one_request() {
    // dig-7616-p
    let (mut world, _) = world(97, Decision::Confirm);
    let challenged = ask(&mut world, &plain("PUT", PATH, ""));
    let challenge = Challenge::parse(&header(&challenged, "WWW-Authenticate").unwrap()).unwrap();
    let secret = Secret::Password("pw-alice".to_owned());
    let sign = |method: &str, path: &str, count: u32| {
        let protected = Protected { method, uri: path, body: b"" };
        DigestCredentials::answer(&challenge, "alice", &secret, protected, "c", count).unwrap().to_string()
    };
    let mut status = |method: &'static str, row: &str| {
        let request = Request { authorization: Some(row), ..plain(method, PATH, "") };
        ask(&mut world, &request)
    };
    let get = sign("GET", PATH, 1);
    assert_eq!(status("GET", &get).status, 404);
    let again = status("GET", &get);
    assert_eq!(again.status, 401);
    assert!(header(&again, "WWW-Authenticate").unwrap().contains("stale=true"));
    assert_eq!(status("DELETE", &sign("GET", PATH, 2)).status, 401, "of another method");
    let other = sign("GET", "/pres-rules/users/sip:bob@example.com/index", 3);
    assert_eq!(status("GET", &other).status, 401, "for another path");
    assert_eq!(status("GET", &sign("GET", PATH, 4)).status, 404);
    for row in ["", "Digest", "Basic YWxpY2U6cHctYWxpY2U=", "Bearer x", "Digest username=\"alice\"", "\u{0}"]
    {
        assert_eq!(status("GET", row).status, 401, "{row}");
    }
}

#[test]
fn nobody_writes_over_what_somebody_else_wrote() {
    let (mut world, _) = world(98, Decision::Confirm);
    let (one, other) = (written(&[(BOB, Handling::Allow)]), written(&[(BOB, Handling::Block)]));
    let put = |world: &mut World, rules: &str, if_match, if_none_match| {
        by_alice(world, Request { if_match, if_none_match, ..plain("PUT", PATH, rules) })
    };
    assert_eq!(put(&mut world, &one, Some("*"), None).status, 412);
    assert_eq!(put(&mut world, &one, Some("\"x\""), None).status, 412);
    let first = put(&mut world, &one, None, Some("*"));
    assert_eq!(first.status, 201);
    let tag = header(&first, "ETag").unwrap();
    assert_eq!(put(&mut world, &other, None, Some("*")).status, 412);
    let weak = ["W/", &tag].concat();
    assert_eq!(put(&mut world, &other, Some(&weak), None).status, 412);
    let list = ["\"a\", ", &tag].concat();
    let second = put(&mut world, &other, Some(&list), None);
    assert_eq!(second.status, 200);
    assert_ne!(header(&second, "ETag"), Some(tag.clone()));
    assert_eq!(put(&mut world, &one, Some(&tag), None).status, 412);
    let delete = Request { if_match: Some(&tag), ..plain("DELETE", PATH, "") };
    assert_eq!(by_alice(&mut world, delete).status, 412);
    let tag = header(&second, "ETag").unwrap();
    let fresh = Request { if_none_match: Some(&tag), ..plain("GET", PATH, "") };
    let unchanged = by_alice(&mut world, fresh);
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    let delete = Request { if_match: Some(&tag), ..plain("DELETE", PATH, "") };
    assert_eq!(by_alice(&mut world, delete).status, 200);
    assert_eq!(by_alice(&mut world, plain("DELETE", PATH, "")).status, 404);
    assert_eq!(by_alice(&mut world, plain("GET", PATH, "")).status, 404);
}

#[test]
fn what_is_no_ruleset_is_refused_with_a_reason_and_changes_nothing() {
    let (mut world, [bob, _]) = world(99, Decision::Confirm);
    let rules = written(&[(BOB, Handling::Allow)]);
    put(&mut world, &rules);
    let twice = ["<cr:rule id=\"a\"/>"; 2].concat();
    let deep = ["<a>".repeat(100), "</a>".repeat(100)].concat();
    let handling =
        "<cr:rule id=\"a\"><cr:actions><pr:sub-handling>perhaps</pr:sub-handling></cr:actions></cr:rule>";
    // It would be for everybody.
    let misspelt = "<cr:rule id=\"a\"><cr:condition><cr:identity><cr:one id=\"sip:bob@example.com\"/></cr:identity>\
        </cr:condition><cr:actions><pr:sub-handling>allow</pr:sub-handling></cr:actions></cr:rule>";
    let foreign = misspelt.replace("cr:condition>", "pr:conditions>");
    let entities =
        "<!DOCTYPE r [<!ENTITY a \"b\">]><ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\"/>";
    for (text, condition) in [
        (String::new(), "not-well-formed"),
        ("<html>".to_owned(), "not-well-formed"),
        ("<ruleset/>".to_owned(), "schema-validation-error"),
        (ruleset("<cr:rule/>"), "schema-validation-error"),
        (ruleset(&twice), "schema-validation-error"),
        (ruleset(handling), "schema-validation-error"),
        (ruleset(misspelt), "schema-validation-error"),
        (ruleset(&foreign), "schema-validation-error"),
        (ruleset(&deep), "constraint-failure"),
        (entities.to_owned(), "not-well-formed"),
        (ruleset("<a></b>"), "not-well-formed"),
        (rules.replace("UTF-8", "latin-1"), "not-utf-8"),
    ] {
        let answer = put(&mut world, &text);
        assert_eq!(answer.status, 409, "{text:.80}");
        assert_eq!(header(&answer, "Content-Type").as_deref(), Some("application/xcap-error+xml"));
        let error =
            ["<xcap-error xmlns=\"urn:ietf:params:xml:ns:xcap-error\"><", condition, " phrase=\""].concat();
        assert!(answer.body.contains(&error), "{text:.80}: {}", answer.body);
    }
    let bytes = Request { body: b"\xff\xfe", ..plain("PUT", PATH, "") };
    assert!(by_alice(&mut world, bytes).body.contains("<not-utf-8 "));
    let large = ruleset(&" ".repeat(64 * 1024));
    assert_eq!(put(&mut world, &large).status, 413);
    for content_type in [None, Some("text/xml"), Some("application/auth-policy+xml-x"), Some("")] {
        let request = Request { content_type, ..plain("PUT", PATH, &rules) };
        assert_eq!(by_alice(&mut world, request).status, 415);
    }
    let request = Request {
        content_type: Some("Application/Auth-Policy+xml; charset=utf-8"),
        ..plain("PUT", PATH, &rules)
    };
    assert_eq!(by_alice(&mut world, request).status, 200);
    assert_eq!(by_alice(&mut world, plain("GET", PATH, "")).body, rules);
    assert_eq!(world.sees(bob.0, bob.1).0, Status::Busy);
}

#[test]
fn an_operator_hears_who_changes_rules_and_who_may_not() {
    let (mut world, _) = world(100, Decision::Confirm);
    let events = |world: &mut World, user: &str, request: Request<'_>| {
        let challenged = world.server.handle_xcap(&request, world.now);
        let challenge = Challenge::parse(&header(&challenged, "WWW-Authenticate").unwrap()).unwrap();
        let secret = Secret::Password("pw-alice".to_owned());
        let protected = Protected { method: request.method, uri: request.path, body: request.body };
        let row =
            DigestCredentials::answer(&challenge, user, &secret, protected, "c", 1).unwrap().to_string();
        world.server.handle_xcap(&Request { authorization: Some(&row), ..request }, world.now);
        let told = core::iter::from_fn(|| world.server.poll());
        told.filter_map(|output| match output {
            Output::Event(event) => Some(event),
            Output::Send(..) | Output::Close(..) => None,
        })
        .collect::<Vec<Event>>()
    };
    let rules = written(&[(BOB, Handling::Allow)]);
    let refused = |method: &str, status, user: Option<&str>| {
        let (method, user) = (method.to_owned(), user.map(str::to_owned));
        [Event::Refused { method, status, user }]
    };
    assert_eq!(events(&mut world, "alice", plain("GET", PATH, "")), []);
    let ruled = [Event::Ruled { user: "alice".to_owned() }];
    assert_eq!(events(&mut world, "alice", plain("PUT", PATH, &rules)), ruled);
    assert_eq!(events(&mut world, "bob", plain("GET", PATH, "")), refused("GET", 401, Some("bob")));
    assert_eq!(events(&mut world, "alice", plain("PUT", PATH, "")), refused("PUT", 409, None));
    assert_eq!(events(&mut world, "alice", plain("DELETE", PATH, "")), ruled);
}
