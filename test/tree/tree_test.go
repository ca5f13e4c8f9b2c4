package tree

import "testing"

func TestAtFindsWhatIsThereAndNothingElse(t *testing.T) {
	node := map[string]any{"list": []any{"zero", map[string]any{"name": "one"}}, "text": "x"}
	for _, c := range []struct {
		path []any
		want any
	}{
		{[]any{"text"}, "x"}, {[]any{"list", 0}, "zero"}, {[]any{"list", 1, "name"}, "one"},
		{[]any{"none"}, nil}, {[]any{"none", "none"}, nil}, {[]any{"list", 2}, nil}, {[]any{"list", -1}, nil},
		{[]any{"list", "name"}, nil}, {[]any{"text", 0}, nil}, {[]any{"text", "x"}, nil},
	} {
		if got := At(node, c.path...); got != c.want {
			t.Errorf("%v: %v, want %v", c.path, got, c.want)
		}
	}
	if n := len(List(node, "list")); n != 2 || List(node, "text") != nil {
		t.Errorf("%d in the list, %v in a text", n, List(node, "text"))
	}
}
