//! XML patch operations (RFC 5261): every form of selector, every operation, every error by its name.
#![allow(clippy::unwrap_used)]

use sip_presence::presence::PatchError;
use sip_presence::presence::patch;
use sip_presence::presence::pidf::Limits;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn apply(target: &str, operations: &str) -> Result<String, PatchError> {
    let diff = ["<diff xmlns:a=\"urn:a\">", operations, "</diff>"].concat();
    patch::patch(target, diff.as_bytes(), &Limits::default())
}

#[track_caller]
fn gives(target: &str, operations: &str, expected: &str) {
    assert_eq!(apply(target, operations).as_deref(), Ok(expected), "{operations}");
}

#[track_caller]
fn fails(target: &str, operations: &str, error: PatchError) {
    assert_eq!(apply(target, operations), Err(error), "{operations}");
}

const TREE: &str = "<doc><foo a=\"1\"><bar>x</bar></foo><foo a=\"2\" b=\"it's\"><bar>y</bar><!--one-->t1<?pi1 p?>t2\
    <!--two--></foo><baz xmlns:p=\"urn:p\">z</baz></doc>";

#[test]
fn every_form_of_selector_locates_its_node() {
    // 5261-4.1-a
    for (selector, rest) in [
        ("doc/foo[@a='1']/bar", "<bar>x</bar>"),
        ("/doc/foo[@a=\"1\"]/bar", "<bar>x</bar>"),
        ("*/*[1]/*[1]", "<bar>x</bar>"),
        ("* / foo [ @a = '1' ] / bar", "<bar>x</bar>"),
        ("doc/foo[bar='x']/bar", "<bar>x</bar>"),
        ("doc/foo[bar=&quot;x&quot;]/bar", "<bar>x</bar>"),
        ("doc/foo/bar[.='x']", "<bar>x</bar>"),
        ("doc/foo[1][bar='x'][@a='1']/bar", "<bar>x</bar>"),
        ("doc/foo[bar='x'][1]/bar[.='x']", "<bar>x</bar>"),
        ("doc/foo[@a='2']/comment()[2]", "<!--two-->"),
        ("doc/foo/comment()[1]", "<!--one-->"),
        ("doc/foo/processing-instruction('pi1')", "<?pi1 p?>"),
        ("doc/foo/processing-instruction(\"pi1\")[1]", "<?pi1 p?>"),
        ("doc/foo/processing-instruction()", "<?pi1 p?>"),
        ("doc/foo/text()[2]", "t2"),
        ("doc/foo[@b=\"it's\"]/text()[1]", "t1"),
        ("doc/baz/text()", "z<"),
        ("doc/baz/namespace::p", " xmlns:p=\"urn:p\""),
        ("doc/foo[2]/@a", " a=\"2\""),
    ] {
        let selector = selector.replace('"', "&quot;");
        let expected = TREE.replacen(rest, if rest.ends_with("z<") { "<" } else { "" }, 1);
        gives(TREE, &format!("<remove sel=\"{selector}\"/>"), &expected);
    }
    gives("<d><e id=\"q\"><f/></e></d>", "<remove sel=\"id('q')/f\"/>", "<d><e id=\"q\"></e></d>");
    gives("<d><e id=\"q\"><f/></e></d>", "<remove sel='id(\"q\")'/>", "<d></d>");
    gives("<d><e id=\"q\" g=\"1\"/></d>", "<remove sel=\"id('q')/@g\"/>", "<d><e id=\"q\"/></d>");
}

#[test]
fn exactly_one_node_is_located() {
    // 5261-4.1-b
    for selector in [
        "doc/foo",
        "doc/foo/bar",
        "doc/none",
        "none",
        "doc/foo[3]",
        "doc/foo[@a='3']",
        "doc/foo[bar='z']",
        "doc/foo/comment()",
        "doc/foo/text()",
        "doc/@x",
        "doc/namespace::p",
        "doc/foo[.='']",
        "doc/text()",
        "doc/foo[2][@a='1']",
        "doc/foo[@a='1'][2]",
        "doc/foo/processing-instruction('pi')",
        "doc/foo[0]",
    ] {
        fails(TREE, &format!("<remove sel=\"{selector}\"/>"), PatchError::UnlocatedNode);
    }
    fails("<d><e id=\"q\"/><e id=\"q\"/></d>", "<remove sel=\"id('q')\"/>", PatchError::UnlocatedNode);
    fails("<d/>", "<remove sel=\"id('q')\"/>", PatchError::UnlocatedNode);
}

#[test]
fn what_is_no_selector_is_an_error() {
    for selector in [
        "",
        " ",
        "doc/",
        "/",
        "doc//foo",
        "doc/foo[",
        "doc/foo[]",
        "doc/foo[@a]",
        "doc/foo[@a=1]",
        "doc/foo[@a='1'",
        "doc/foo[@a='1]",
        "doc/@a/b",
        "doc/text()/b",
        "doc/text()[@a='1']",
        "doc/text()[1][2]",
        "doc/..",
        "doc/foo()",
        "doc/foo[-1]",
        "doc/foo[99999999999999999999999]",
        "doc/child::foo",
        "doc/namespace::a:b",
        "doc/1",
        "doc/a:",
        "doc/:a",
        "doc foo",
        "count(doc)",
        "doc/foo|doc/baz",
        "id('q'",
        "id('q')x",
        "doc/namespace::p/b",
    ] {
        fails(TREE, &format!("<remove sel=\"{selector}\"/>"), PatchError::InvalidAttributeValue);
    }
    fails(TREE, "<remove sel=\"id()\"/>", PatchError::UnsupportedIdFunction);
    fails(TREE, "<remove sel=\"id('')\"/>", PatchError::UnsupportedIdFunction);
    fails("<d><e xml:id=\"q\"/></d>", "<remove sel=\"id('q')\"/>", PatchError::UnsupportedXmlId);
}

#[test]
fn prefixes_in_selectors_are_those_of_the_patch() {
    // 5261-4.2-a
    let target = "<d xmlns:z=\"urn:a\" z:k=\"1\"><z:e/><f xmlns=\"urn:b\" k=\"2\"/><e/></d>";
    gives(
        target,
        "<remove sel=\"d/a:e\"/>",
        "<d xmlns:z=\"urn:a\" z:k=\"1\"><f xmlns=\"urn:b\" k=\"2\"/><e/></d>",
    );
    gives(
        target,
        "<remove sel=\"d/e\"/>",
        "<d xmlns:z=\"urn:a\" z:k=\"1\"><z:e/><f xmlns=\"urn:b\" k=\"2\"/></d>",
    );
    gives(
        target,
        "<remove sel=\"*/@a:k\"/>",
        "<d xmlns:z=\"urn:a\"><z:e/><f xmlns=\"urn:b\" k=\"2\"/><e/></d>",
    );
    fails(target, "<remove sel=\"d/f\"/>", PatchError::UnlocatedNode);
    fails(target, "<remove sel=\"d/q:f\"/>", PatchError::InvalidNamespacePrefix);
    // The default namespace of the patch counts, for elements and not for attributes.
    let with = |selector: &str| {
        let diff = ["<p:diff xmlns:p=\"urn:p\" xmlns=\"urn:b\"><p:remove sel=\"", selector, "\"/></p:diff>"]
            .concat();
        patch::patch(target, diff.as_bytes(), &Limits::default())
    };
    let without_k = "<d xmlns:z=\"urn:a\" z:k=\"1\"><z:e/><f xmlns=\"urn:b\"/><e/></d>";
    assert_eq!(with("*/f/@k").as_deref(), Ok(without_k));
    assert_eq!(with("*/f[@k='2']/@k").as_deref(), Ok(without_k));
    assert_eq!(with("d/f"), Err(PatchError::UnlocatedNode));
    // A declaration at the operation itself counts too.
    gives(
        "<d xmlns=\"urn:b\"><e/></d>",
        "<remove sel=\"b:d/b:e\" xmlns:b=\"urn:b\"/>",
        "<d xmlns=\"urn:b\"></d>",
    );
}

#[test]
fn added_elements_keep_their_namespaces() {
    // 5261-4.2-b
    gives(
        "<z:d xmlns:z=\"urn:a\"/>",
        "<add sel=\"a:d\"><a:e a:k=\"1\" l=\"2\"><f/></a:e></add>",
        "<z:d xmlns:z=\"urn:a\"><a:e xmlns=\"\" xmlns:a=\"urn:a\" a:k=\"1\" l=\"2\"><f/></a:e></z:d>",
    );
    // No prefix of its own means it there: declared anew.
    gives("<d/>", "<add sel=\"d\"><a:e/></add>", "<d><a:e xmlns=\"\" xmlns:a=\"urn:a\"/></d>");
    gives(
        "<d xmlns:a=\"urn:other\"/>",
        "<add sel=\"d\"><a:e a:k=\"1\"/></add>",
        "<d xmlns:a=\"urn:other\"><a:e xmlns=\"\" xmlns:a=\"urn:a\" a:k=\"1\"/></d>",
    );
    // One that has no namespace does not get that of its surroundings, and the other way round.
    gives("<d xmlns=\"urn:a\"/>", "<add sel=\"a:d\"><e/></add>", "<d xmlns=\"urn:a\"><e xmlns=\"\"/></d>");
    gives("<d/>", "<add sel=\"d\"><e xmlns=\"urn:b\"/></add>", "<d><e xmlns=\"urn:b\"/></d>");
    gives(
        "<d xmlns:p=\"urn:q\" xmlns:b=\"urn:b\"/>",
        "<add sel=\"d\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><q:e p:k=\"1\" b:k=\"2\" xmlns:b=\"urn:c\"/></add>",
        "<d xmlns:p=\"urn:q\" xmlns:b=\"urn:b\"><q:e xmlns=\"\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" p:k=\"1\" b:k=\"2\" xmlns:b=\"urn:c\"/></d>",
    );
}

#[test]
fn elements_are_added_where_pos_says() {
    // 5261-4.3-a 5261-4-a
    let target = "<d>1<e/>2</d>";
    gives(target, "<add sel=\"d\"><f/></add>", "<d>1<e/>2<f xmlns=\"\"/></d>");
    gives(target, "<add sel=\"d\" pos=\"prepend\"><f/></add>", "<d><f xmlns=\"\"/>1<e/>2</d>");
    gives(target, "<add sel=\"d/e\" pos=\"before\">x<f/></add>", "<d>1x<f xmlns=\"\"/><e/>2</d>");
    gives(target, "<add sel=\"d/e\" pos=\"after\"><!--c--><?p i?></add>", "<d>1<e/><!--c--><?p i?>2</d>");
    gives(target, "<add sel=\"d/text()[2]\" pos=\"before\"><f/>y</add>", "<d>1<e/><f xmlns=\"\"/>y2</d>");
    gives(
        target,
        "<add sel=\"d/e\" type=\"@k\">a&quot;&lt;&amp;</add>",
        "<d>1<e k=\"a&quot;&lt;&amp;\"/>2</d>",
    );
    gives(target, "<add sel=\"d\" type=\"namespace::p\">urn:p</add>", "<d xmlns:p=\"urn:p\">1<e/>2</d>");
    gives(
        "<d xmlns:z=\"urn:a\"/>",
        "<add sel=\"d\" type=\"@a:k\">1</add><replace sel=\"d/@a:k\">2</replace>",
        "<d xmlns:a=\"urn:a\" a:k=\"2\" xmlns:z=\"urn:a\"/>",
    );
    gives("<d/>", "<add sel=\"d\" type=\"@a:k\">1</add>", "<d xmlns:a=\"urn:a\" a:k=\"1\"/>");
    gives(
        "<d/>",
        "<add sel=\"d\"><e/></add><add sel=\"d/e\">t</add><remove sel=\"d/e/text()\"/>",
        "<d><e xmlns=\"\"></e></d>",
    );
    // Around the root only what may stand there.
    gives("<d/>", "<add sel=\"d\" pos=\"before\"> <!--c--> </add>", " <!--c--> <d/>");
    gives(
        "<!--c--><d/><?p?>",
        "<remove sel=\"comment()\"/><remove sel=\"processing-instruction('p')\"/>",
        "<d/>",
    );
}

#[test]
fn what_cannot_be_added_is_an_error() {
    // 5261-4.3-b 5261-3-b
    use PatchError::*;
    let target = "<d k=\"1\" xmlns:p=\"urn:p\" xmlns:a=\"urn:other\"><p:e>t</p:e></d>";
    for (operation, error) in [
        ("<add sel=\"d\" pos=\"inside\"><f/></add>", InvalidAttributeValue),
        ("<add sel=\"d/@k\">2</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@k\">2</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l\"/>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l\"><f/></add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l\"><![CDATA[x]]></add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l\">a<!--c-->b</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"l\">x</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@1\">x</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l m\">x</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l='1' m\">x</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"@l\" pos=\"before\">x</add>", InvalidPatchDirective),
        ("<add sel=\"d\" type=\"@q:l\">x</add>", InvalidNamespacePrefix),
        ("<add sel=\"d\" type=\"@a:l\">x</add>", InvalidNamespacePrefix),
        ("<add sel=\"d\" type=\"namespace::p\">urn:x</add>", InvalidAttributeValue),
        ("<add sel=\"d\" type=\"namespace::xml\">urn:x</add>", InvalidNamespacePrefix),
        ("<add sel=\"d/*\" type=\"namespace::p\">urn:x</add>", InvalidNamespacePrefix),
        ("<add sel=\"d\" type=\"namespace::q\"> </add>", InvalidNamespaceUri),
        ("<add sel=\"d\" type=\"namespace::q\"/>", InvalidNamespaceUri),
        ("<add sel=\"d/*/text()\" type=\"@l\">x</add>", InvalidPatchDirective),
        ("<add sel=\"d/*/text()\"><f/></add>", InvalidPatchDirective),
        ("<add sel=\"d\" pos=\"after\"><f/></add>", InvalidRootElementOperation),
        ("<add sel=\"d\" pos=\"before\">x</add>", InvalidXmlPrologOperation),
    ] {
        fails(target, operation, error);
    }
}

#[test]
fn a_node_is_replaced_by_one_of_its_kind() {
    // 5261-4.4-a
    let target = "<d k=\"1\" xmlns:p=\"urn:p\"><p:e/><f/><!--c--><?i j?>text<![CDATA[ more]]></d>";
    let with = |from: &str, to: &str| target.replacen(from, to, 1);
    gives(
        target,
        "<replace sel=\"d/f\"><g h=\"1\">x</g></replace>",
        &with("<f/>", "<g xmlns=\"\" h=\"1\">x</g>"),
    );
    gives(target, "<replace sel=\"d/comment()\"><!--new--></replace>", &with("<!--c-->", "<!--new-->"));
    gives(
        target,
        "<replace sel=\"d/processing-instruction('i')\"><?k?></replace>",
        &with("<?i j?>", "<?k?>"),
    );
    gives(target, "<replace sel=\"d/@k\">2</replace>", &with("k=\"1\"", "k=\"2\""));
    gives(target, "<replace sel=\"d/@k\"/>", &with("k=\"1\"", "k=\"\""));
    gives(target, "<replace sel=\"d/text()\">new</replace>", &with("text<![CDATA[ more]]>", "new"));
    gives(target, "<replace sel=\"d/text()\"/>", &with("text<![CDATA[ more]]>", ""));
    gives(target, "<replace sel=\"d/namespace::p\">urn:q</replace>", &with("urn:p", "urn:q"));
    gives(
        target,
        "<replace sel=\"d/namespace::p\">urn:a</replace><remove sel=\"d/a:e\"/>",
        &with("urn:p", "urn:a").replace("<p:e/>", ""),
    );
    gives("<d><e/></d>", "<replace sel=\"*\"><f/></replace>", "<f xmlns=\"\"/>");
    use PatchError::*;
    for (operation, error) in [
        ("<replace sel=\"d/f\">x</replace>", InvalidNodeTypes),
        ("<replace sel=\"d/f\"/>", InvalidNodeTypes),
        ("<replace sel=\"d/f\"><g/><h/></replace>", InvalidNodeTypes),
        ("<replace sel=\"d/f\"> <g/></replace>", InvalidNodeTypes),
        ("<replace sel=\"d/comment()\"><?p?></replace>", InvalidNodeTypes),
        ("<replace sel=\"d/processing-instruction()\"><!--c--></replace>", InvalidNodeTypes),
        ("<replace sel=\"d/text()\"><f/></replace>", InvalidNodeTypes),
        ("<replace sel=\"d/text()\">a<!--c-->b</replace>", InvalidNodeTypes),
        ("<replace sel=\"d/@k\"><f/></replace>", InvalidAttributeValue),
        ("<replace sel=\"d/namespace::p\"/>", InvalidNamespaceUri),
    ] {
        fails(target, operation, error);
    }
}

#[test]
fn white_space_is_kept_and_removed_as_asked() {
    // 5261-4.5-a 5261-4.5-b 5261-3-a
    let target = "<d>\n <e/> <f/>x<!--c--> <![CDATA[ ]]><g k=\"1\"/></d>";
    gives(target, "<remove sel=\"d/e\"/>", "<d>\n  <f/>x<!--c--> <![CDATA[ ]]><g k=\"1\"/></d>");
    gives(target, "<remove sel=\"d/e\" ws=\"before\"/>", "<d> <f/>x<!--c--> <![CDATA[ ]]><g k=\"1\"/></d>");
    gives(target, "<remove sel=\"d/e\" ws=\"after\"/>", "<d>\n <f/>x<!--c--> <![CDATA[ ]]><g k=\"1\"/></d>");
    gives(target, "<remove sel=\"d/e\" ws=\"both\"/>", "<d><f/>x<!--c--> <![CDATA[ ]]><g k=\"1\"/></d>");
    gives(target, "<remove sel=\"d/g\" ws=\"before\"/>", "<d>\n <e/> <f/>x<!--c--></d>");
    // What is left side by side is one text.
    gives(
        target,
        "<remove sel=\"d/e\"/><remove sel=\"d/text()[1]\"/>",
        "<d><f/>x<!--c--> <![CDATA[ ]]><g k=\"1\"/></d>",
    );
    gives("<d>a<e/>b</d>", "<remove sel=\"d/e\"/><replace sel=\"d/text()\">c</replace>", "<d>c</d>");
    gives(
        "<d>a<e/>b</d>",
        "<add sel=\"d/text()[1]\" pos=\"after\">x</add><remove sel=\"d/text()[1]\"/>",
        "<d><e/>b</d>",
    );
    use PatchError::*;
    for (operation, error) in [
        ("<remove sel=\"d/f\" ws=\"after\"/>", InvalidWhitespaceDirective),
        ("<remove sel=\"d/f\" ws=\"both\"/>", InvalidWhitespaceDirective),
        ("<remove sel=\"d/g\" ws=\"after\"/>", InvalidWhitespaceDirective),
        ("<remove sel=\"d/text()[3]\" ws=\"after\"/>", InvalidWhitespaceDirective),
        ("<remove sel=\"d/g/@k\" ws=\"before\"/>", InvalidWhitespaceDirective),
        ("<remove sel=\"d/e\" ws=\"around\"/>", InvalidAttributeValue),
        ("<remove sel=\"d\"/>", InvalidRootElementOperation),
        ("<remove sel=\"*\"/>", InvalidRootElementOperation),
    ] {
        fails(target, operation, error);
    }
    fails("<p:d xmlns:p=\"urn:p\"/>", "<remove sel=\"*/namespace::p\"/>", InvalidNamespacePrefix);
    gives(
        "<d xmlns:p=\"urn:p\"><p:e xmlns:p=\"urn:q\"/></d>",
        "<remove sel=\"*/namespace::p\"/>",
        "<d><p:e xmlns:p=\"urn:q\"/></d>",
    );
}

#[test]
fn a_patch_that_cannot_be_read_has_the_error_that_says_why() {
    // 5261-5.1-a
    let error = |diff: &[u8]| patch::patch("<d/>", diff, &Limits::default()).unwrap_err();
    use PatchError::*;
    for (diff, expected) in [
        ("<diff><remove/></diff>", InvalidDiffFormat),
        ("<diff><remove sel='d'></diff>", InvalidDiffFormat),
        ("<diff>x</diff>", InvalidDiffFormat),
        ("", InvalidDiffFormat),
        ("<diff><add sel=\"d\">&nbsp;</add></diff>", InvalidEntityDeclaration),
        ("<!DOCTYPE diff><diff/>", InvalidEntityDeclaration),
        ("<diff><move sel=\"d\"/></diff>", InvalidPatchDirective),
        ("<diff xmlns:p=\"urn:p\"><p:remove sel=\"d\"/></diff>", InvalidPatchDirective),
    ] {
        assert_eq!(error(diff.as_bytes()), expected, "{diff}");
    }
    assert_eq!(error(b"<diff>\xff</diff>"), InvalidCharacterSet);
    assert_eq!(error(b"<\0d\0/\0>\0"), InvalidCharacterSet);
    let names = [
        (InvalidAttributeValue, "invalid-attribute-value"),
        (InvalidCharacterSet, "invalid-character-set"),
        (InvalidDiffFormat, "invalid-diff-format"),
        (InvalidEntityDeclaration, "invalid-entity-declaration"),
        (InvalidNamespacePrefix, "invalid-namespace-prefix"),
        (InvalidNamespaceUri, "invalid-namespace-uri"),
        (InvalidNodeTypes, "invalid-node-types"),
        (InvalidPatchDirective, "invalid-patch-directive"),
        (InvalidRootElementOperation, "invalid-root-element-operation"),
        (InvalidXmlPrologOperation, "invalid-xml-prolog-operation"),
        (InvalidWhitespaceDirective, "invalid-whitespace-directive"),
        (UnlocatedNode, "unlocated-node"),
        (UnsupportedIdFunction, "unsupported-id-function"),
        (UnsupportedXmlId, "unsupported-xml-id"),
    ];
    for (error, name) in names {
        assert_eq!(error.as_str(), name);
    }
}

#[test]
fn the_first_operation_that_fails_fails_the_whole_patch() {
    // 5261-4-b
    fails(
        "<d/>",
        "<add sel=\"d\"><e/></add><remove sel=\"d/f\"/><add sel=\"d\"><g/></add>",
        PatchError::UnlocatedNode,
    );
    gives("<d/>", " <!--c--> <?p?>", "<d/>");
}

#[test]
fn a_hostile_patch_ends_soon() {
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let target = ["<d>", &"<e k=\"1\"/>".repeat(9_000), "<e id=\"x\"/></d>"].concat();
    let run = |operations: String| {
        let diff = ["<diff>", &operations, "</diff>"].concat();
        patch::patch(&target, diff.as_bytes(), &limits)
    };
    let removals = "<remove sel=\"*/*[1]\"/>".repeat(9_000);
    assert_eq!(run(removals), Err(PatchError::TooLarge));
    let predicates = ["<remove sel=\"*/*", &"[@k='1']".repeat(100_000), "\"/>"].concat();
    assert_eq!(run(predicates), Err(PatchError::TooLarge));
    let texts = ["<remove sel=\"*", &"[.='']".repeat(100_000), "\"/>"].concat();
    assert_eq!(run(texts), Err(PatchError::TooLarge));
    assert_eq!(run("<add sel=\"id('x')\">t</add>".repeat(9_000)), Err(PatchError::TooLarge));
    let deep = ["<remove sel=\"", &"*/".repeat(100_000), "*\"/>"].concat();
    assert_eq!(run(deep), Err(PatchError::UnlocatedNode));
    assert_eq!(run("<e>".repeat(100_000)), Err(PatchError::TooLarge));
}
