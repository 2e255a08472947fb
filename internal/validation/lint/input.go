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

package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxFile bounds what is read of one file, in bytes.
	MaxFile = 64 << 20
	// MaxDocument is the most that an API server takes in one request, in bytes.
	MaxDocument = 3 << 20
)

// Stdin is the name that stands for standard input.
const Stdin = "-"

// extensions are those of the files that are read of a directory.
var extensions = []string{".yaml", ".yml", ".json"}

// kustomizations are what kustomize reads itself; most have no kind.
var kustomizations = []string{"kustomization.yaml", "kustomization.yml"}

// Files are the files that the names stand for, each once: a directory stands
// for its manifests, and with recursive for those below it too.
func Files(names []string, recursive bool) ([]string, error) {
	var files []string
	for _, name := range names {
		of, err := filesOf(name, recursive)
		if err != nil {
			return nil, err
		}
		for _, file := range of {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files, nil
}

func filesOf(name string, recursive bool) ([]string, error) {
	if name == Stdin {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, errors.Unwrap(err))
	case !info.IsDir():
		return []string{name}, nil
	}
	var files []string
	// With the slash it goes into a directory that the name is a link to.
	name += string(filepath.Separator)
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != name && !recursive:
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains(extensions, filepath.Ext(path)) && !slices.Contains(kustomizations, filepath.Base(path)):
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		return nil, fmt.Errorf("%s: no .yaml, .yml or .json file in this directory", strings.TrimRight(name, string(filepath.Separator)))
	}
	return files, err
}

// ReadFile is the text of a file, or of stdin if that is its name.
func ReadFile(name string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if name != Stdin {
		file, err := os.Open(name)
		if err != nil {
			return nil, errors.Unwrap(err)
		}
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err == nil && info.Size() > MaxFile {
			return nil, errTooLarge
		}
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, MaxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading: %w", err)
	case len(text) > MaxFile:
		return nil, errTooLarge
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text):
		return nil, errors.New("this is not text in UTF-8")
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

var errTooLarge = fmt.Errorf("larger than %d MiB: split it into several files", MaxFile>>20)
