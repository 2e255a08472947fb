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
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// followInterval is how often a followed log is looked at.
const followInterval = 100 * time.Millisecond

// errLogLimit ends reading at limitBytes.
var errLogLimit = errors.New("log limit reached")

// readLog writes the log at path to out as the options ask. While running
// reports true, a followed log may still grow.
func readLog(ctx context.Context, path string, options *corev1.PodLogOptions, out io.Writer, running func() bool) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing was written yet, or it was cleaned up
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	w := newLogWriter(options, out)
	err = w.backlog(rotatedLog(path), file)
	for err == nil && options.Follow {
		alive := running() // asked first: what is written before the end is read below
		if err = w.copyLines(bufio.NewReader(file)); err != nil {
			break
		}
		if file, err = reopened(file, path, w); err != nil || !alive {
			break
		}
		if !sleep(ctx, followInterval) {
			return nil
		}
	}
	if errors.Is(err, errLogLimit) {
		return nil
	}
	return err
}

// reopened returns the file to go on with: another one after a rotation.
func reopened(file *os.File, path string, w *logWriter) (*os.File, error) {
	next, err := os.Open(path)
	if err != nil {
		return file, nil //nolint:nilerr // between the two steps of a rotation
	}
	a, errA := file.Stat()
	b, errB := next.Stat()
	if errA != nil || errB != nil || os.SameFile(a, b) {
		_ = next.Close()
		return file, nil
	}
	err = w.copyLines(bufio.NewReader(file)) // what came just before
	_ = file.Close()
	return next, err
}

// logWriter turns stored lines into what the user asked for.
type logWriter struct {
	options *corev1.PodLogOptions
	out     io.Writer
	since   time.Time
	left    int64 // bytes, negative for no limit
	partial []byte
}

func newLogWriter(options *corev1.PodLogOptions, out io.Writer) *logWriter {
	w := &logWriter{options: options, out: out, left: -1}
	if options.LimitBytes != nil {
		w.left = *options.LimitBytes
	}
	if options.SinceSeconds != nil {
		w.since = time.Now().Add(-time.Duration(*options.SinceSeconds) * time.Second)
	}
	if options.SinceTime != nil {
		w.since = options.SinceTime.Time
	}
	return w
}

// backlog writes what is there: all of it, or its last lines.
func (w *logWriter) backlog(older string, current *os.File) error {
	var readers []io.Reader
	if file, err := os.Open(older); err == nil {
		defer func() { _ = file.Close() }()
		readers = append(readers, file)
	}
	reader := bufio.NewReader(io.MultiReader(append(readers, current)...))
	if w.options.TailLines == nil {
		return w.copyLines(reader)
	}
	tail := make([][]byte, 0, min(*w.options.TailLines, 1024))
	err := eachLine(reader, w, func(line []byte) error {
		if int64(len(tail)) == *w.options.TailLines {
			if len(tail) == 0 {
				return nil
			}
			tail = tail[1:]
		}
		tail = append(tail, bytes.Clone(line))
		return nil
	})
	for _, line := range tail {
		if err == nil {
			err = w.line(line)
		}
	}
	return err
}

func (w *logWriter) copyLines(reader *bufio.Reader) error {
	return eachLine(reader, w, w.line)
}

// eachLine calls f for each complete stored line; the beginning of one that is
// still being written waits for the next call.
func eachLine(reader *bufio.Reader, w *logWriter, f func([]byte) error) error {
	for {
		line, err := reader.ReadBytes('\n')
		if len(w.partial) > 0 {
			line = append(w.partial, line...)
			w.partial = nil
		}
		if errors.Is(err, io.EOF) {
			w.partial = line
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(line); err != nil {
			return err
		}
	}
}

// line writes one stored line if it is late enough and of the stream asked for.
func (w *logWriter) line(stored []byte) error {
	parts := bytes.SplitN(stored, []byte(" "), 4)
	if len(parts) != 4 {
		return nil // not ours
	}
	if !w.since.IsZero() {
		if when, err := time.Parse(time.RFC3339Nano, string(parts[0])); err != nil || when.Before(w.since) {
			return nil
		}
	}
	if stream := w.options.Stream; stream != nil && *stream != corev1.LogStreamAll && !bytes.EqualFold(parts[1], []byte(*stream)) {
		return nil
	}
	text := parts[3]
	if string(parts[2]) == "P" {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	if w.options.Timestamps {
		text = append(append(bytes.Clone(parts[0]), ' '), text...)
	}
	return w.write(text)
}

func (w *logWriter) write(text []byte) error {
	if w.left >= 0 {
		text = text[:min(int64(len(text)), w.left)]
		w.left -= int64(len(text))
	}
	if _, err := w.out.Write(text); err != nil {
		return err
	}
	if w.left == 0 {
		return errLogLimit
	}
	return nil
}
