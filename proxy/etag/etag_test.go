package etag

import (
	"reflect"
	"strings"
	"testing"
)

func TestToClientAndBack(t *testing.T) {
	for store, client := range map[string]string{
		`"d41d8cd98f00b204e9800998ecf8427e"`:   `"d41d8cd98f00b204e9800998ecf8427e-0"`,
		`d41d8cd98f00b204e9800998ecf8427e`:     `d41d8cd98f00b204e9800998ecf8427e-0`,
		`"d41d8cd98f00b204e9800998ecf8427e-3"`: `"d41d8cd98f00b204e9800998ecf8427e-3"`,
		`"d41d8cd98f00b204e9800998ecf8427e-0"`: `"d41d8cd98f00b204e9800998ecf8427e-0-0"`,
		`W/"abc"`:                              `W/"abc-0"`,
		`"a-b"`:                                `"a-b"`,
		`"a-10"`:                               `"a-10"`,
		`"-0"`:                                 `"-0-0"`,
		`""`:                                   `""`,
		``:                                     ``,
		`"0x8D-0"`:                             `"0x8D-0-0"`,
		`"CKih16GjycICEAE="`:                   `"CKih16GjycICEAE=-0"`,
	} {
		if got := ToClient(store); got != client {
			t.Errorf("ToClient(%s) = %s, want %s", store, got, client)
		}
		if got := FromClient(client); got != store {
			t.Errorf("FromClient(%s) = %s, want %s", client, got, store)
		}
	}
}

func TestFromClientOfLists(t *testing.T) {
	for in, want := range map[string]string{
		`*`:                        `*`,
		`"a-0", "b-0"`:             `"a", "b"`,
		`"a-0",W/"b-0" ,c-0,"d-2"`: `"a",W/"b" ,c,"d-2"`,
		`"x,y-0","z"`:              `"x,y","z"`,
		` "a-0" `:                  ` "a" `,
		`"a-0-0"`:                  `"a-0"`,
		`"plain"`:                  `"plain"`,
		`,,`:                       `,,`,
		`"unterminated-0`:          `"unterminated`,
		`"a-0"x`:                   `"a-0"x`,
	} {
		if got := FromClient(in); got != want {
			t.Errorf("FromClient(%s) = %s, want %s", in, got, want)
		}
	}
	if got := Split(` "a,b" , c,, W/"d"`); !reflect.DeepEqual(got, []string{`"a,b"`, `c`, `W/"d"`}) {
		t.Errorf("Split: %q", got)
	}
}

func TestMatch(t *testing.T) {
	for _, r := range []struct {
		list, tag    string
		strong, want bool
	}{
		{`*`, `"a"`, true, true}, {`"a"`, `"a"`, true, true}, {`a`, `"a"`, true, true}, {`"b", "a"`, `"a"`, true, true},
		{`"b"`, `"a"`, true, false}, {`W/"a"`, `"a"`, true, false}, {`W/"a"`, `"a"`, false, true}, {``, `"a"`, false, false},
	} {
		if got := Match(r.list, r.tag, r.strong); got != r.want {
			t.Errorf("Match(%s, %s, %v) = %v", r.list, r.tag, r.strong, got)
		}
	}
}

// FuzzRoundTrip: FromClient undoes ToClient for any tag without a comma, alone and in a list, and a tag a client sees
// always holds a dash.
func FuzzRoundTrip(f *testing.F) {
	f.Fuzz(func(t *testing.T, tag string) {
		if strings.ContainsAny(tag, `," `+"\t") || strings.HasPrefix(tag, "W/") {
			return
		}
		for _, form := range []string{tag, `"` + tag + `"`, `W/"` + tag + `"`} {
			client := ToClient(form)
			if got := FromClient(client); got != form {
				t.Fatalf("%q became %q became %q", form, client, got)
			}
			if tag != "" && !strings.Contains(client, "-") {
				t.Fatalf("%q has no dash", client)
			}
			if got := FromClient(client + ", " + client); got != form+", "+form {
				t.Fatalf("list of %q: %q", client, got)
			}
		}
		_ = FromClient(tag)
	})
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": "", "abc": `"abc"`, `"abc"`: `"abc"`, `W/"abc"`: `W/"abc"`} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%s) = %s, want %s", in, got, want)
		}
	}
}
