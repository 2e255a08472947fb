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

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/state"
)

// LogNames are the components that have a log, sorted.
func LogNames(dir state.Dir) []string {
	paths, _ := filepath.Glob(filepath.Join(dir.Logs(), "*.log"))
	names := make([]string, 0, len(paths))
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".log"))
	}
	slices.Sort(names)
	return names
}

// Logs writes the log of a component, and with follow goes on as it grows,
// until ctx ends. Those of a cluster that did not come up can be read too.
func Logs(ctx context.Context, dir state.Dir, name string, follow bool, out io.Writer) error {
	names := LogNames(dir)
	if len(names) == 0 {
		return ErrNone
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("no component is called %q; there are %s", name, strings.Join(names, ", "))
	}
	file, err := os.Open(dir.Log(name))
	if err != nil {
		return fmt.Errorf("opening a log: %w", err)
	}
	defer func() { _ = file.Close() }()
	for {
		if _, err := io.Copy(out, file); err != nil {
			return fmt.Errorf("reading %s: %w", file.Name(), err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		if _, err := os.Stat(file.Name()); errors.Is(err, os.ErrNotExist) {
			return nil // the cluster is gone
		}
	}
}
