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
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// maxLogSize is where a log is rotated; one older part is kept. It is a
	// kubelet's containerLogMaxSize.
	maxLogSize = 10 << 20
	// maxLogLine is where a line is split in two, the first tagged P.
	maxLogLine = 16 << 10
)

// logFile is a container's log in the form of the Container Runtime Interface:
// "<RFC 3339 time> <stdout|stderr> <F|P> <text>".
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(path string) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening a container's log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &logFile{path: path, file: file, size: info.Size()}, nil
}

func rotatedLog(path string) string { return path + ".1" }

func (l *logFile) write(stream, tag string, text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	line := make([]byte, 0, len(text)+50)
	line = time.Now().UTC().AppendFormat(line, "2006-01-02T15:04:05.000000000Z07:00")
	line = append(line, ' ')
	line = append(line, stream...)
	line = append(line, ' ')
	line = append(line, tag...)
	line = append(line, ' ')
	line = append(line, text...)
	line = append(line, '\n')
	// A full disk costs log lines, not the container.
	n, _ := l.file.Write(line)
	if l.size += int64(n); l.size >= maxLogSize {
		l.rotate()
	}
}

func (l *logFile) rotate() {
	if err := os.Rename(l.path, rotatedLog(l.path)); err != nil {
		return
	}
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return // goes on in the renamed file
	}
	_ = l.file.Close()
	l.file, l.size = file, 0
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return os.ErrClosed
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// stream is a writer of one stream's bytes; Close writes what has no newline.
func (l *logFile) stream(name string) io.WriteCloser { return &logStream{log: l, name: name} }

type logStream struct {
	log  *logFile
	name string

	mu      sync.Mutex
	pending []byte
}

func (s *logStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, p...)
	for {
		end := bytes.IndexByte(s.pending, '\n')
		switch {
		case end >= 0 && end <= maxLogLine:
			s.log.write(s.name, "F", s.pending[:end])
			s.pending = s.pending[end+1:]
		case len(s.pending) > maxLogLine:
			s.log.write(s.name, "P", s.pending[:maxLogLine])
			s.pending = s.pending[maxLogLine:]
		default:
			s.pending = append([]byte(nil), s.pending...) // let go of what was written
			return len(p), nil
		}
	}
}

func (s *logStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) > 0 {
		s.log.write(s.name, "F", s.pending)
		s.pending = nil
	}
	return nil
}
