/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAVolumeChangesAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	write := func(p payload) string {
		t.Helper()
		if err := p.write(dir, nil); err != nil {
			t.Fatal(err)
		}
		data, err := os.Readlink(filepath.Join(dir, "..data"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := write(payload{"a": {content: "1", mode: 0o644}, "gone": {content: "1", mode: 0o644}, "d/e/f": {content: "1", mode: 0o400}})
	held, err := os.Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	second := write(payload{"a": {content: "2", mode: 0o644}, "d/e/f": {content: "2", mode: 0o400}, "new": {content: "2", mode: 0o600}})
	if first == second {
		t.Error("files were written over")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{second, "..data", "a", "d", "new"}, names); diff != "" {
		t.Errorf("the volume holds (-want +got):\n%s", diff)
	}
	for name, mode := range map[string]os.FileMode{"a": 0o644, "d/e/f": 0o400, "new": 0o600} {
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err != nil || string(content) != "2" {
			t.Errorf("%s is %q, %v", name, content, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if link, err := os.Readlink(filepath.Join(dir, "a")); link != "..data/a" {
		t.Errorf("a leads to %q, %v", link, err)
	}
	old := make([]byte, 1)
	if _, err := held.Read(old); err != nil || string(old) != "1" {
		t.Errorf("who had the file open reads %q, %v", old, err)
	}
}

func TestAVolumesGroupMayRead(t *testing.T) {
	dir := t.TempDir()
	group := new(int64(os.Getegid()))
	if err := (payload{"a": {content: "1", mode: 0o600}}).write(dir, group); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestNoPathLeavesAVolume(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"../a", "/a", "d/../../a"} {
		err := payload{path: {mode: 0o644}}.write(dir, nil)
		if err == nil || !strings.Contains(err.Error(), "leads out of the volume") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestAVolumeThatCanNotChangeStaysAsItWas, however often that is tried: what stands
// in the way is a directory, which no link takes the place of.
func TestAVolumeThatCanNotChangeStaysAsItWas(t *testing.T) {
	for name, inTheWay := range map[string]string{"of the link to all files": dataLink, "of a file's link": "gone"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, inTheWay, "full"), 0o755); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := (payload{"a": {content: "1", mode: usualMode}}).write(dir, nil); err == nil {
					t.Fatal("it was written")
				}
			}
			data, _ := os.Readlink(filepath.Join(dir, dataLink))
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if known := []string{inTheWay, dataLink, nextDataLink, "a", data}; !slices.Contains(known, entry.Name()) {
					t.Errorf("%s is left behind", entry.Name())
				}
			}
		})
	}
}

func TestTokensAreUsedForFourFifthsOfTheirLife(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{10 * time.Minute: 8 * time.Minute, time.Hour: 48 * time.Minute, 365 * 24 * time.Hour: 24 * time.Hour} {
		if got := useOf(life); got != want {
			t.Errorf("%v: %v, want %v", life, got, want)
		}
	}
}
