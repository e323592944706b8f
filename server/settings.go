package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// LineSettings is what an operator set of one campaign's line. The zero value
// steers by what is measured.
type LineSettings struct {
	AdmitPerMinute float64 `json:"admit_per_minute"` // 0: as many as the server can carry
	Floor          uint32  `json:"floor"`            // sessions in progress that are aimed at, at least; 0: the preset
	Ceiling        uint32  `json:"ceiling"`          // and at most; 0: no bound
}

// settingsStore keeps the settings of all lines in one small file of JSON, by
// campaign id, since the log has no record for them. They steer what is to
// come and decide nothing that has happened, so a replay does not need them.
// Without a file they last as long as the process.
type settingsStore struct {
	path string // empty: no file
	mu   sync.Mutex
	of   map[string]LineSettings // guarded by mu
}

// openSettings reads the file; where there is none yet, nothing is set.
func openSettings(path string) (*settingsStore, error) {
	s := &settingsStore{path: path, of: make(map[string]LineSettings)}
	if path == "" {
		return s, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings of lines: %w", err)
	}
	if err := json.Unmarshal(text, &s.of); err != nil {
		return nil, fmt.Errorf("settings of lines: %s is damaged: %w. Remove it, and set the lines again", path, err)
	}
	for id, settings := range s.of {
		if err := settings.steering().Check(); err != nil {
			return nil, fmt.Errorf("settings of lines: %s, campaign %q: %w", path, id, err)
		}
	}
	return s, nil
}

func (s *settingsStore) get(campaignID string) LineSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[campaignID]
}

// set changes one campaign's settings. They are on the disk when it returns;
// with an error they are as they were.
func (s *settingsStore) set(campaignID string, settings LineSettings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, was := s.of[campaignID]
	s.of[campaignID] = settings
	if err := s.save(); err != nil {
		delete(s.of, campaignID)
		if was {
			s.of[campaignID] = before
		}
		return fmt.Errorf("keep the settings of lines: %w", err)
	}
	return nil
}

// save writes the file whole or not at all. The lock is held.
func (s *settingsStore) save() (err error) {
	if s.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(s.of, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.path)
	draft, err := os.CreateTemp(dir, "."+filepath.Base(s.path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(draft.Name()) // best effort: the first error is told
		}
	}()
	_, err = draft.Write(append(text, '\n'))
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err = os.Rename(draft.Name(), s.path); err != nil {
		return err
	}
	handle, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(handle.Sync(), handle.Close())
}
