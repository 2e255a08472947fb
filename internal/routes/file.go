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

package routes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrForeignFile means that a file exists that this program has not written.
var ErrForeignFile = errors.New("somebody else wrote it: move it away or choose another file with --routes-file")

// largest bounds what is read of a file: the snippet of as many addresses as a
// cluster can have is far shorter.
const largest = 64 << 20

// file is one that we write. Readers see the text before or the text after a
// change, never a part.
type file string

// read is the text that the file has; none exists is the empty text. The error is
// ErrForeignFile for what is no file of ours.
func (f file) read() (string, error) {
	info, err := os.Lstat(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("--routes-file: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("--routes-file: %s is no regular file: %w", f, ErrForeignFile)
	}
	in, err := os.Open(string(f))
	if err != nil {
		return "", fmt.Errorf("--routes-file: %w", err)
	}
	defer func() { _ = in.Close() }()
	text, err := io.ReadAll(io.LimitReader(in, largest))
	if err != nil {
		return "", fmt.Errorf("--routes-file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	if !strings.Contains(first, mark) {
		return "", fmt.Errorf("--routes-file: %s: %w", f, ErrForeignFile)
	}
	return string(text), nil
}

// write puts text in the place of what read returned. The directory is made if
// it is missing: below /run it is gone after each boot.
func (f file) write(text string) error {
	directory, name := filepath.Dir(string(f)), filepath.Base(string(f))
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("--routes-file: %w", err)
	}
	// The name ends differently from the file's, so that a daemon that includes
	// *.conf never reads half of it.
	out, err := os.CreateTemp(directory, "."+name+".*.new")
	if err != nil {
		return fmt.Errorf("--routes-file: %w", err)
	}
	defer func() { _ = os.Remove(out.Name()) }()
	_, err = out.WriteString(text)
	// The daemon reads it as a user of its own.
	err = errors.Join(err, out.Chmod(0o644), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), string(f))
	}
	if err != nil {
		return fmt.Errorf("--routes-file: %w", err)
	}
	return nil
}

// restore puts back what read returned before.
func (f file) restore(text string) error {
	if text == "" {
		return os.Remove(string(f))
	}
	return f.write(text)
}

// leftovers are temporary files of a process that was killed while it wrote;
// one that is younger may be another's that still does.
const leftoverAge = time.Minute

// tidy removes leftovers. That it can not is no reason to do anything else.
func (f file) tidy(now time.Time) {
	directory, name := filepath.Dir(string(f)), filepath.Base(string(f))
	found, _ := filepath.Glob(filepath.Join(directory, "."+name+".*.new")) // a bad pattern finds none
	for _, path := range found {
		if info, err := os.Lstat(path); err == nil && now.Sub(info.ModTime()) > leftoverAge {
			_ = os.Remove(path)
		}
	}
}
