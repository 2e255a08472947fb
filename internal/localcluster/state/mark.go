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

package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mark is what the file lock holds. A directory where it is was empty when a
// cluster took it.
const mark = "This directory is the state of a local cluster: `switchyard up` and `down` remove what is in it.\n"

// writeMark marks the directory of a lock that is held.
func writeMark(lock *os.File) error {
	if _, err := lock.WriteAt([]byte(mark), 0); err != nil {
		return fmt.Errorf("marking the state directory: %w", err)
	}
	return nil
}

// refuseForeign returns an error if the directory is somebody else's: it holds
// something, and not our mark.
func (d Dir) refuseForeign() error {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return notOurs(fmt.Errorf("looking into the state directory: %w", err))
	}
	// Read after the entries: whoever takes an empty directory marks it before
	// anything else is made in it.
	lock, err := os.ReadFile(d.lock())
	switch {
	case errors.Is(err, os.ErrPermission):
		return notOurs(fmt.Errorf("reading the lock of the state directory: %w", err))
	case err == nil && (bytes.Equal(lock, []byte(mark)) || len(lock) == 0 && d.unmarked(entries)):
		return nil
	case errors.Is(err, os.ErrNotExist) && onlyLock(entries):
		return nil // It was removed since by whoever is at it.
	}
	return fmt.Errorf("%s holds files and is not the state directory of a local cluster, which replaces what is in it: "+
		"set %s to a directory that is empty or does not exist, such as %s", d, EnvVar, filepath.Join(string(d), "switchyard"))
}

// unmarked recognises, where the lock is empty, what was left by a cluster of a
// version that made no marks, or by one that ended before it made its own.
func (d Dir) unmarked(entries []fs.DirEntry) bool {
	if record, err := d.Record(); err == nil && record.PID > 0 && record.StartTime > 0 {
		return true
	}
	for _, entry := range entries {
		if !d.early(entry) {
			return false
		}
	}
	return true
}

// early tells whether an entry is one that a cluster makes before its record.
func (d Dir) early(entry fs.DirEntry) bool {
	path := filepath.Join(string(d), entry.Name())
	switch path {
	case d.lock():
		return entry.Type().IsRegular()
	case d.Socket():
		return entry.Type()&fs.ModeSocket != 0
	case d.Run():
		return holdsOnly(path, func(fs.DirEntry) bool { return false })
	case d.Logs():
		return holdsOnly(path, func(file fs.DirEntry) bool {
			return file.Type().IsRegular() && strings.HasSuffix(file.Name(), ".log")
		})
	}
	return false
}

func holdsOnly(path string, allowed func(fs.DirEntry) bool) bool {
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		if !allowed(entry) {
			return false
		}
	}
	return err == nil
}

func onlyLock(entries []fs.DirEntry) bool {
	return len(entries) == 1 && entries[0].Name() == "lock"
}
