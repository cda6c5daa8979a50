package server

import "testing"

func TestReleaseOf(t *testing.T) {
	for module, want := range map[string]string{"v0.42.0": "2.42.0", "v0.316.0": "3.16.0", "(devel)": "(devel)"} {
		if got := releaseOf(module); got != want {
			t.Errorf("releaseOf(%q) = %q, want %q", module, got, want)
		}
	}
}
