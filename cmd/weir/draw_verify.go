package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/core"
	"weir/core/event"
	"weir/core/line"
)

// drawQuestion is what is to be verified.
type drawQuestion struct {
	from       string // URL or file
	campaign   string
	ordinal    int    // 0: the newest draw that is drawn
	index      uint32 // 0: not asked
	number     uint32 // 0: not asked
	commitment string // that was noted before the opening; empty: not asked
}

// verifiedDraw is what `weir draw verify --json` prints.
type verifiedDraw struct {
	Ordinal    int          `json:"ordinal"`
	Commitment string       `json:"commitment"`
	Seed       string       `json:"seed"`
	Size       uint32       `json:"size"`
	Base       event.Number `json:"base"`
	Sound      bool         `json:"sound"`            // the seed is the one that was committed to
	Fault      string       `json:"fault,omitempty"`  // where it is not
	Index      uint32       `json:"index,omitempty"`  // that was asked for, or that has Number
	Number     event.Number `json:"number,omitempty"` // that was asked for, or that Index has
}

func drawVerifyCommand() *cobra.Command {
	var q drawQuestion
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify [NUMBER]",
		Short: "Recompute a draw, and anybody's place in it, from public data",
		Long: `Reads the public object of a line (GET /v1/campaigns/{c}/line), from a server or
from a file, and checks that the seed of a draw is the one that was committed to
before anybody joined. With --index it computes the number that this place in
the draw's list was given; with NUMBER, which place was given that number.
Index and draw are in everybody's own place (GET /v1/campaigns/{c}/line/me).

Whoever noted the commitment before the opening gives it with --commitment: then
not even the server could have exchanged it.

Nothing secret is needed, and nothing of the server is believed.`,
		Example: "  weir draw verify --from https://booking.example --campaign kr-2021-50s --index 88120\n  weir draw verify --from line.json 311 --commitment c9f5dfd7…",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.complete(args); err != nil {
				return err
			}
			text, err := q.read(cmd.Context())
			if err != nil {
				return err
			}
			v, err := q.verify(text)
			if err != nil {
				return err
			}
			return v.print(cmd.OutOrStdout(), asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.from, "from", "", "`URL` of a server or of its object, or file with the object")
	flags.StringVar(&q.campaign, "campaign", "", "`id` of the campaign, where --from is a server")
	flags.IntVar(&q.ordinal, "draw", 0, "`ordinal` of the draw (default: the newest that is drawn)")
	flags.Uint32Var(&q.index, "index", 0, "`place` in the draw's list, from 1")
	flags.StringVar(&q.commitment, "commitment", "", "the commitment as it was before the opening, in `hex`")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (q *drawQuestion) complete(args []string) error {
	if q.from == "" {
		return usagef("--from is missing: the URL of a server, or a file with the public object of a line")
	}
	if len(args) == 0 {
		return nil
	}
	number, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || number == 0 {
		return usagef("%q is no number in line", args[0])
	}
	if q.index != 0 {
		return usagef("give --index or a number, not both")
	}
	q.number = uint32(number)
	return nil
}

const (
	publicLineMax     = 4 << 20 // bytes
	publicLineTimeout = 30 * time.Second
)

// read fetches the public object.
func (q *drawQuestion) read(ctx context.Context) ([]byte, error) {
	if !strings.HasPrefix(q.from, "http://") && !strings.HasPrefix(q.from, "https://") {
		return readBounded(q.from, publicLineMax)
	}
	address := strings.TrimSuffix(q.from, "/")
	if !strings.HasSuffix(address, "/line") {
		if q.campaign == "" {
			return nil, usagef("--campaign is missing: %s is a server, and may have several", q.from)
		}
		address += "/v1/campaigns/" + url.PathEscape(q.campaign) + "/line"
	}
	ctx, cancel := context.WithTimeout(ctx, publicLineTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, usagef("--from: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the line: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the line: %s answers %s", address, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, publicLineMax))
	if err != nil {
		return nil, fmt.Errorf("read the line: %w", err)
	}
	return text, nil
}

// publicDraw is a draw of the public object.
type publicDraw struct {
	Ordinal    int
	Commitment string
	Seed       string
	Size       uint32
	Base       event.Number
}

// verify recomputes what is asked.
func (q *drawQuestion) verify(text []byte) (*verifiedDraw, error) {
	var object struct{ Draws []publicDraw }
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("%s is no public object of a line: %w", q.from, err)
	}
	d, err := q.choose(object.Draws)
	if err != nil {
		return nil, err
	}
	v := &verifiedDraw{Ordinal: d.Ordinal, Commitment: d.Commitment, Seed: d.Seed, Size: d.Size, Base: d.Base}
	var seed line.Seed
	if n, err := hex.Decode(seed[:], []byte(d.Seed)); err != nil || n != len(seed) || len(d.Seed) != 2*len(seed) {
		v.Fault = "the seed is not 32 bytes in hex"
		return v, nil
	}
	commitment := seed.Commitment()
	switch {
	case hex.EncodeToString(commitment[:]) != d.Commitment:
		v.Fault = fmt.Sprintf("the seed is not the one that was committed to: its commitment is %x", commitment)
	case q.commitment != "" && !strings.EqualFold(q.commitment, d.Commitment):
		v.Fault = "the commitment is not the one that was noted before the opening"
	default:
		v.Sound = true
		return v, q.place(v, seed)
	}
	return v, nil
}

// choose finds the draw that is asked for.
func (q *drawQuestion) choose(draws []publicDraw) (*publicDraw, error) {
	var newest *publicDraw
	for i := range draws {
		d := &draws[i]
		if d.Seed != "" && (q.ordinal == 0 || d.Ordinal == q.ordinal) && (q.number == 0 || q.ordinal != 0 || d.has(q.number)) {
			newest = d
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("the line has no such draw that is drawn: of its %d draws, those before their opening have no seed yet", len(draws))
	}
	return newest, nil
}

func (d *publicDraw) has(number uint32) bool {
	return uint64(number) > uint64(d.Base) && uint64(number) <= uint64(d.Base)+uint64(d.Size)
}

// place computes the number of an index, or the index of a number.
func (q *drawQuestion) place(v *verifiedDraw, seed line.Seed) (err error) {
	switch {
	case q.index != 0:
		v.Index = q.index
		v.Number, err = core.DrawnNumber(seed, v.Size, v.Base, event.Index(q.index))
	case q.number != 0:
		d := publicDraw{Size: v.Size, Base: v.Base}
		if !d.has(q.number) {
			return fmt.Errorf("number %d is not of draw %d, which has %d to %d", q.number, v.Ordinal, v.Base+1, uint64(v.Base)+uint64(v.Size))
		}
		v.Number = event.Number(q.number)
		v.Index = line.NewPermutation(seed, v.Size).Index(q.number-uint32(v.Base)-1) + 1
	}
	return err
}

func (v *verifiedDraw) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if err := writeJSON(w, v); err != nil {
			return err
		}
	} else if _, err := io.WriteString(w, v.text()); err != nil {
		return err
	}
	if !v.Sound {
		return errReported
	}
	return nil
}

func (v *verifiedDraw) text() string {
	if !v.Sound {
		return fmt.Sprintf("draw %d is NOT SOUND: %s\n", v.Ordinal, v.Fault)
	}
	text := fmt.Sprintf("draw %d is sound: its seed is the one that was committed to\ncommitment %s\nseed       %s\nnumbers    %d to %d\n",
		v.Ordinal, v.Commitment, v.Seed, v.Base+1, uint64(v.Base)+uint64(v.Size))
	if v.Index != 0 {
		text += fmt.Sprintf("index %d has number %d\n", v.Index, v.Number)
	}
	return text
}
