/* Two controllers, one journal, one venue, three persons and everything that goes wrong: see README.md beside this file.
   Assertions check invariants 3, 4, 6, 9 and 10 of architecture.md §11; with -DLIVE it is checked that a breach ends in HALTED. */

#include "edges.pml"

#ifndef COMMANDS
#define COMMANDS 2
#endif
#ifndef ORDERS
#define ORDERS 1
#endif
#ifndef FAULTS
#define FAULTS 2    /* crashes, stops, failed writes, commits whose answer is lost, changed deployments: any mix */
#endif
#ifndef BREACHES
#define BREACHES 1
#endif
#define CAP 1       /* orders that may be at work at once */
#define STEPS 2     /* of the ramp */
#define LIFETIME 1  /* of a permit, in units of time, from when its batch began */
#define LEASE 2     /* of the journal, from its last entry */
#define NOBODY 2

#ifdef SOLO
#define NEEDS_TWO(s, v) SOLO_NEEDS_TWO(s, v)
#define COOLS_OFF(s, v) SOLO_COOLS_OFF(s, v)
#else
#define NEEDS_TWO(s, v) TEAM_NEEDS_TWO(s, v)
#define COOLS_OFF(s, v) TEAM_COOLS_OFF(s, v)
#endif

#ifdef NO_ORDERS
#define TRADES false
#else
#define TRADES true
#endif

#ifdef NO_COMMANDS
#define SIGNING false
#else
#define SIGNING true
#endif

#define BIT(n) (1 << (n))
#define ALONE 1      /* who signed: alice alone, alice and bob, alice and carol; only bob's key can be revoked */
#define WITH_BOB 2
#define WITH_CAROL 3

/* An order as the journal knows it, and as the venue does. */
#define NONE 0
#define ADMITTED 1
#define UNKNOWN 2
#define OPEN 3
#define DONE 4
#define NOTHING 0
#define FLYING 1
#define WORKING 2
#define OVER 3

/* What a batch is about, and how far it has come. */
#define BOOT 1
#define ARM 2
#define SAMPLE 3
#define STOP 4
#define APPLY 5
#define WAIT 6
#define VOID 7
#define ADMIT 8
#define SETTLE 9
#define IDLE 0
#define DECIDED 1
#define ASKING 2
#define DURABLE 3
#define FAILED 4

typedef Fold {      /* the state, as folded from the journal */
  byte stage;
  byte step;
  byte from;        /* where the halt came from */
  byte stale;       /* commands signed before the lifecycle's last move */
  byte spent;       /* commands applied, or withdrawn while they waited */
  byte waits;       /* 1 + the command that cools off */
  bool revoked;     /* bob's key */
  bool armed;
  byte order[ORDERS]
};

typedef Command {
  byte verb;        /* 0 until it is signed */
  byte stage;
  byte step;
  byte who;
  bool expired;
  bool cooled
};

Fold J;                 /* the journal */
byte owner = NOBODY;    /* whose epoch is in force */
byte lease;
Command cmd[COMMANDS];

Fold L[2];              /* what each controller believes */
bool runs[2];
bool stopped[2];
bool latched[2];
bool marked[2];         /* its latch file */
byte permit[2];
byte phase[2];
byte batch[2];
byte arg[2];
byte val[2];
bool age[2];            /* whether time has passed since the batch began */
bool landed[2];
bool proven[2];         /* its batch goes with evidence that passes and is fresh */
byte due[2];            /* orders to be placed */
byte sent[2];           /* orders placed whose outcome is not journalled */

byte venue[ORDERS];
bool breach;
bool told[2];           /* LOST_BREACH: who was told of the breach */

byte faults = FAULTS, breaches = BREACHES;

/* What has truly happened; nothing decides by these. */
byte applied;           /* commands */
byte placed;            /* orders */
byte t;

/* The rules, for whoever judges by them: a controller by what it believes, the assertions by the journal. */

#define SIGNED(n) (cmd[n].verb != 0)
#define OVER_WITH(n) ((J.stale | J.spent) & BIT(n))
#define QUORUM(F, n) ((cmd[n].who >= WITH_BOB || !NEEDS_TWO(F.stage, cmd[n].verb)))
#define IN_FORCE(F, n) (!(F.revoked && cmd[n].who == WITH_BOB))
#define NEXT_STEP(F, n) (cmd[n].verb != RAMP || cmd[n].step == F.step + 1)
#define DOWNWARD(F, n) (cmd[n].verb != DEMOTE || cmd[n].stage != F.stage || cmd[n].step < F.step)
#define NOT_ABOVE(F, n) (cmd[n].verb != RESUME || cmd[n].stage <= F.from)
#define EDGE(F, n) (DECLARED(F.stage, cmd[n].verb, cmd[n].stage) && NEXT_STEP(F, n) && DOWNWARD(F, n))
#define COUNTS(F, n) (F.order[n] == ADMITTED || F.order[n] == UNKNOWN || F.order[n] == OPEN)

#ifdef ANY_EDGE
#define MAY_MOVE(F, n) (NOT_ABOVE(F, n))
#else
#ifdef RESUME_UP
#define MAY_MOVE(F, n) (EDGE(F, n))
#else
#define MAY_MOVE(F, n) (EDGE(F, n) && NOT_ABOVE(F, n))
#endif
#endif
#ifdef UNDER_QUORUM
#define ENOUGH(F, n) (true)
#else
#define ENOUGH(F, n) (QUORUM(F, n))
#endif
#ifdef IGNORE_REVOCATION
#define USABLE(F, n) (true)
#define FRESH(F, n) (!(F.spent & BIT(n)))
#else
#ifdef REUSE_COMMAND
#define USABLE(F, n) (IN_FORCE(F, n))
#define FRESH(F, n) (true)
#else
#ifdef TAKE_STALE
#define USABLE(F, n) (IN_FORCE(F, n))
#define FRESH(F, n) (!(F.spent & BIT(n)))
#else
#define USABLE(F, n) (IN_FORCE(F, n))
#define FRESH(F, n) (!(F.spent & BIT(n)) && !(F.stale & BIT(n)))
#endif
#endif
#endif
#ifdef TAKE_EXPIRED
#define IN_TIME(n) (true)
#else
#define IN_TIME(n) (!cmd[n].expired)
#endif
#ifdef VETO_IGNORED
#define COOLED(F, n) (cmd[n].cooled)
#else
#define COOLED(F, n) (F.waits == (n) + 1 && cmd[n].cooled)
#endif
#ifdef NO_GATE
#define PROVEN(F, n) (false)
#else
#define PROVEN(F, n) (GATED(F.stage, cmd[n].verb))
#endif

#define IS_GOOD(F, n) (SIGNED(n) && FRESH(F, n) && IN_TIME(n) && USABLE(F, n) && ENOUGH(F, n) \
  && (cmd[n].verb == REVOKE -> !F.revoked : MAY_MOVE(F, n)))

#define LIVE_PERMIT(c) (permit[c] > 0 && !latched[c])
#ifdef PERMIT_OUTLIVES_LATCH
#define MAY_PLACE(c) (permit[c] > 0)
#else
#define MAY_PLACE(c) LIVE_PERMIT(c)
#endif
#ifdef FORGET_UNKNOWN
#define RESERVES(F, n) (F.order[n] == ADMITTED || F.order[n] == OPEN)
#else
#define RESERVES(F, n) COUNTS(F, n)
#endif
#ifdef NO_GRACE
#define PROVEN_ABSENT(n) (venue[n] != WORKING)
#else
#define PROVEN_ABSENT(n) (venue[n] == NOTHING || venue[n] == OVER)
#endif
#ifdef LOST_BREACH
#define SEES_BREACH(c) (told[c])
#else
#define SEES_BREACH(c) (breach)
#endif

#if ORDERS == 1
#define USED(F) (RESERVES(F, 0))
#define AT_WORK ((venue[0] == FLYING || venue[0] == WORKING))
#elif ORDERS == 2
#define USED(F) (RESERVES(F, 0) + RESERVES(F, 1))
#define AT_WORK ((venue[0] == FLYING || venue[0] == WORKING) + (venue[1] == FLYING || venue[1] == WORKING))
#else
#define USED(F) (RESERVES(F, 0) + RESERVES(F, 1) + RESERVES(F, 2))
#define AT_WORK ((venue[0] == FLYING || venue[0] == WORKING) + (venue[1] == FLYING || venue[1] == WORKING) \
  + (venue[2] == FLYING || venue[2] == WORKING))
#endif

inline all_signed() {   /* t: every command signed so far */
  t = 0; i = 0;
  do :: i < COMMANDS -> if :: SIGNED(i) -> t = t | BIT(i) :: else fi; i++ :: else -> break od;
  i = 0
}

inline move(F, to, to_step, reconciled) {
  all_signed();
  F.stale = t; t = 0;
  if :: F.waits -> F.spent = F.spent | BIT(F.waits - 1); F.waits = 0 :: else fi;
  if :: to == HALTED -> F.from = F.stage :: else -> F.from = 0 fi;
  F.stage = to; F.step = to_step;
  if :: !reconciled -> F.armed = false :: else fi
}

inline fold(F, c) {     /* what the batch of c says, added to F */
  if
  :: batch[c] == BOOT ->
      F.armed = false; i = 0;
      do
      :: i < ORDERS -> if :: F.order[i] == ADMITTED -> F.order[i] = UNKNOWN :: else fi; i++
      :: else -> break
      od;
      i = 0;
      if :: arg[c] -> move(F, MOCK, 0, false) :: else fi
  :: batch[c] == ARM -> F.armed = true
  :: batch[c] == SAMPLE -> skip
  :: batch[c] == STOP -> if :: F.stage != HALTED -> move(F, HALTED, 0, true) :: else fi
  :: batch[c] == APPLY ->
      if :: F.waits == arg[c] + 1 -> F.waits = 0 :: else fi;
      F.spent = F.spent | BIT(arg[c]);
      if
      :: cmd[arg[c]].verb == REVOKE -> F.revoked = true; move(F, F.stage, F.step, true)
      :: else -> move(F, cmd[arg[c]].stage, cmd[arg[c]].step, val[c])
      fi
  :: batch[c] == WAIT -> F.waits = arg[c] + 1
  :: batch[c] == VOID ->
#ifndef VETO_IGNORED
      if :: F.waits -> F.spent = F.spent | BIT(F.waits - 1) :: else fi;
#endif
      F.waits = 0
  :: batch[c] == ADMIT -> F.order[arg[c]] = ADMITTED
  :: batch[c] == SETTLE -> F.order[arg[c]] = val[c]
  fi
}

inline check_entry(c) { /* what must hold of an entry that becomes part of the journal */
  if
  :: batch[c] == APPLY ->
      assert(!(applied & BIT(arg[c])));
#if !defined(REUSE_COMMAND) && !defined(IGNORE_REVOCATION)
      assert(!(J.stale & BIT(arg[c])));
#endif
      assert(IN_FORCE(J, arg[c]));
      assert(QUORUM(J, arg[c]));
      assert(cmd[arg[c]].verb == REVOKE || EDGE(J, arg[c]));
      assert(NOT_ABOVE(J, arg[c]));
      assert(proven[c] || !GATED(J.stage, cmd[arg[c]].verb));
      assert(!COOLS_OFF(J.stage, cmd[arg[c]].verb) || (J.waits == arg[c] + 1 && cmd[arg[c]].cooled));
      applied = applied | BIT(arg[c])
  :: batch[c] == STOP -> assert(J.stage == HALTED || DECLARED(J.stage, HALT, HALTED))
  :: batch[c] == BOOT && arg[c] -> assert(DECLARED(J.stage, DEMOTE, MOCK))
  :: batch[c] == SETTLE && val[c] == DONE -> assert(venue[arg[c]] != FLYING && venue[arg[c]] != WORKING)
  :: else
  fi
}

inline copy(F, G) {
  F.stage = G.stage; F.step = G.step; F.from = G.from; F.stale = G.stale; F.spent = G.spent; F.waits = G.waits;
  F.revoked = G.revoked; F.armed = G.armed; i = 0;
  do :: i < ORDERS -> F.order[i] = G.order[i]; i++ :: else -> break od;
  i = 0
}

inline forget(c) {      /* a process that is gone believes nothing */
  L[c].stage = 0; L[c].step = 0; L[c].from = 0; L[c].stale = 0; L[c].spent = 0; L[c].waits = 0;
  L[c].revoked = false; L[c].armed = false; i = 0;
  do :: i < ORDERS -> L[c].order[i] = NONE; i++ :: else -> break od;
  i = 0
}

#ifdef NO_EXIT
#define EXIT(c) phase[c] = FAILED; permit[c] = 0; latched[c] = true
#else
#define EXIT(c) die(c)
#endif

inline die(c) {
  runs[c] = false; stopped[c] = false; latched[c] = false; permit[c] = 0; due[c] = 0; sent[c] = 0; told[c] = false;
  phase[c] = IDLE; batch[c] = 0; arg[c] = 0; val[c] = 0; age[c] = false; landed[c] = false; proven[c] = false;
  forget(c);
  if :: owner == c -> owner = NOBODY; lease = 0 :: else fi
}

inline decide(c, what, about, value) {
  batch[c] = what; arg[c] = about; val[c] = value; phase[c] = DECIDED; age[c] = false
#ifdef SEND_FIRST
  ; if :: what == ADMIT -> due[c] = due[c] | BIT(about) :: else fi
#endif
}

inline renew(c) {       /* dated from when the batch began, so that it ends before the lease does */
#ifdef PERMIT_DATED_LATE
  permit[c] = LIFETIME
#else
  permit[c] = (age[c] || !TRADES -> 0 : LIFETIME)
#endif
  ; assert(permit[c] == 0 || owner == c);
  assert(permit[c] == 0 || !runs[1 - c] || !LIVE_PERMIT(1 - c))
}

inline tidy(c) {        /* nobody can use a command again that is over: how it came to be so is one state, not many */
#ifndef MUTANT
  i = 0;
  do
  :: i < COMMANDS ->
      if
      :: SIGNED(i) && OVER_WITH(i) ->
          cmd[i].verb = RESET; cmd[i].stage = 0; cmd[i].step = 0; cmd[i].who = ALONE; cmd[i].expired = false; cmd[i].cooled = false;
          J.stale = J.stale | BIT(i); J.spent = J.spent | BIT(i); L[c].stale = J.stale; L[c].spent = J.spent
      :: else
      fi;
      i++
  :: else -> break
  od;
  i = 0
#else
  skip
#endif
}

inline check_fold(c) {  /* whoever may write believes what the journal says */
  assert(L[c].stage == J.stage && L[c].step == J.step && L[c].from == J.from);
  assert(L[c].spent == J.spent && L[c].waits == J.waits && L[c].revoked == J.revoked && L[c].armed == J.armed);
  i = 0;
  do :: i < ORDERS -> assert(L[c].order[i] == J.order[i]); i++ :: else -> break od;
  i = 0
}

inline after(c) {       /* the batch is durable: now, and not before, it has effects */
  fold(L[c], c);
  if :: batch[c] == ADMIT -> due[c] = due[c] | BIT(arg[c]) :: else fi;
#ifdef RESEND
  if :: batch[c] == BOOT && L[c].order[0] == UNKNOWN && J.order[0] == UNKNOWN -> due[c] = due[c] | 1 :: else fi;
#endif
  if
  :: L[c].stage == HALTED ->
      latched[c] = true; marked[c] = false;
#ifndef PERMIT_OUTLIVES_LATCH
      permit[c] = 0
#endif
  :: else ->
      latched[c] = false;
#ifdef UNARMED
      renew(c)
#else
      if :: L[c].armed -> renew(c) :: else -> permit[c] = 0 fi
#endif
  fi;
  phase[c] = IDLE; batch[c] = 0; arg[c] = 0; val[c] = 0; age[c] = false; landed[c] = false; proven[c] = false;
  if :: owner == c -> check_fold(c); tidy(c) :: else fi
}

#ifdef NO_FENCE
#define FENCED(c) (false)
#else
#define FENCED(c) (owner != c)
#endif
#ifdef NO_LEASE
#define FREE (true)
#else
#if defined(NO_TAKEOVER) || defined(NO_EXIT)
#define FREE (owner == NOBODY)
#else
#ifdef NO_ORDERS
#define FREE (owner == NOBODY || stopped[owner])
#else
#define FREE (owner == NOBODY || lease == 0)
#endif
#endif
#endif

#define ACTS(c) (runs[c] && !stopped[c])
/* What a sample would change; another is left out. */
#define TO_RENEW(c) ((TRADES && lease < LEASE) || owner != c || (TRADES && permit[c] == 0 && L[c].armed && L[c].stage != HALTED))
#define READY(c) (ACTS(c) && phase[c] == IDLE && (!marked[c] || L[c].stage == HALTED))

#ifdef SEND_FIRST
#define AT_REST(c) (ACTS(c) && (phase[c] == IDLE || MAY_PLACE(c)))
#else
#define AT_REST(c) (ACTS(c) && phase[c] == IDLE)     /* writing and sending are one thread */
#endif
#define MUST_HALT(c) (L[c].stage != HALTED && (marked[c] || SEES_BREACH(c)))
#define TAKES(c, n) (IS_GOOD(L[c], n) \
  && (!COOLS_OFF(L[c].stage, cmd[n].verb) || (!L[c].waits && !cmd[n].cooled) || COOLED(L[c], n)))
#define IS_THERE(c, n) (L[c].order[n] == UNKNOWN && venue[n] == WORKING)
#define IS_NOT(c, n) (L[c].order[n] == UNKNOWN && PROVEN_ABSENT(n))
#define HAS_ENDED(c, n) (L[c].order[n] == OPEN && venue[n] == OVER)
#define UNWANTED(c, n) (L[c].order[n] == OPEN && venue[n] == WORKING && L[c].stage == HALTED)
#define LOOKS(c, n) (IS_THERE(c, n) || IS_NOT(c, n) || HAS_ENDED(c, n) || UNWANTED(c, n))

inline take(c, n) {     /* a command whose gate does not pass is refused, and that is one of those that change nothing */
  assert(!cmd[n].expired);
  proven[c] = PROVEN(L[c], n);
  if
  :: !COOLS_OFF(L[c].stage, cmd[n].verb) ->
      if :: cmd[n].stage == HALTED && cmd[n].verb != REVOKE -> latched[c] = true :: else fi;
      if
      :: decide(c, APPLY, n, 1)
      :: TRADES && cmd[n].verb != REVOKE && cmd[n].stage != HALTED -> decide(c, APPLY, n, 0)   /* not reconciled there */
      fi
  :: COOLS_OFF(L[c].stage, cmd[n].verb) && !L[c].waits && !cmd[n].cooled -> decide(c, WAIT, n, 0)
  :: COOLS_OFF(L[c].stage, cmd[n].verb) && COOLED(L[c], n) -> decide(c, APPLY, n, 1)
  fi
}

inline look(c, n) {
  if
  :: IS_THERE(c, n) -> decide(c, SETTLE, n, OPEN)
  :: IS_NOT(c, n) -> decide(c, SETTLE, n, DONE)
  :: HAS_ENDED(c, n) -> decide(c, SETTLE, n, DONE)
  :: UNWANTED(c, n) -> venue[n] = OVER      /* a cancel */
  fi
}

proctype controller(byte c) {
  byte n, i;
  do
  /* A start: the epoch rises, the journal is read, what was in flight is unknown. */
  :: atomic {
      !runs[c] && FREE ->
      assert(!LIVE_PERMIT(1 - c));
      owner = c; lease = LEASE; runs[c] = true;
      copy(L[c], J);
      if
      :: decide(c, BOOT, 0, 0)
      :: faults > 0 && J.stage != MOCK && J.stage != HALTED -> faults--; decide(c, BOOT, 1, 0)
      fi
    }

  /* Time: look at the guards, or only remember that one has looked. */
  :: atomic { ACTS(c) && phase[c] == IDLE && MUST_HALT(c) -> latched[c] = true; told[c] = false; decide(c, STOP, 0, 0) }
  :: atomic { ACTS(c) && phase[c] == IDLE && !MUST_HALT(c) && TO_RENEW(c) -> decide(c, SAMPLE, 0, 0) }
#ifdef RENEW_UNWRITTEN
  :: atomic { READY(c) && L[c].armed && L[c].stage != HALTED -> permit[c] = LIFETIME }
#endif
  :: atomic { READY(c) && !L[c].armed -> decide(c, ARM, 0, 0) }

  /* A command, delivered at any time, to anybody, any number of times. One that would be refused changes nothing. */
  :: atomic { READY(c) && TAKES(c, 0) -> take(c, 0) }
#if COMMANDS > 1
  :: atomic { READY(c) && TAKES(c, 1) -> take(c, 1) }
#endif
  :: atomic { READY(c) && L[c].waits -> decide(c, VOID, 0, 0) }

  /* Orders. */
  :: atomic {
      TRADES && READY(c) && L[c].armed && L[c].stage != HALTED && USED(L[c]) < CAP && L[c].order[ORDERS - 1] == NONE ->
      n = 0;
      do :: L[c].order[n] != NONE -> n++ :: else -> break od;
      decide(c, ADMIT, n, 0);
      n = 0
    }
  :: atomic {
      AT_REST(c) && due[c] ->
      n = 0;
      do :: !(due[c] & BIT(n)) -> n++ :: else -> break od;
      due[c] = due[c] - BIT(n);
      if
      :: MAY_PLACE(c) ->
          assert(!(placed & BIT(n)));
          assert(J.order[n] == ADMITTED);
          assert(J.stage != HALTED);
          assert(J.armed);
          assert(owner == c);
          placed = placed | BIT(n); sent[c] = sent[c] | BIT(n); venue[n] = FLYING;
          assert(AT_WORK <= CAP)
      :: else -> decide(c, SETTLE, n, DONE)
      fi;
      n = 0
    }
  :: atomic {           /* the outcome of a send: an answer, or none */
      READY(c) && sent[c] ->
      n = 0;
      do :: !(sent[c] & BIT(n)) -> n++ :: else -> break od;
      sent[c] = sent[c] - BIT(n);
      if
      :: decide(c, SETTLE, n, UNKNOWN)
      :: venue[n] == WORKING -> decide(c, SETTLE, n, OPEN)
      :: venue[n] == OVER -> decide(c, SETTLE, n, DONE)
      fi;
      n = 0
    }
  :: atomic { READY(c) && LOOKS(c, 0) -> look(c, 0) }
#if ORDERS > 1
  :: atomic { READY(c) && LOOKS(c, 1) -> look(c, 1) }
#endif
#if ORDERS > 2
  :: atomic { READY(c) && LOOKS(c, 2) -> look(c, 2) }
#endif

  /* The journal. */
  :: atomic {
      ACTS(c) && phase[c] == DECIDED ->
      if
      :: FENCED(c) -> EXIT(c)
      :: !FENCED(c) -> check_entry(c); fold(J, c); lease = LEASE; phase[c] = DURABLE
      :: !FENCED(c) && faults > 0 -> faults--; phase[c] = ASKING
      :: !FENCED(c) && faults > 0 -> faults--; check_entry(c); fold(J, c); lease = LEASE; landed[c] = true; phase[c] = ASKING
      :: !FENCED(c) && faults > 0 -> faults--; EXIT(c); marked[c] = true
      fi;
      if :: J.stage == HALTED -> breach = false; told[0] = false; told[1] = false :: else fi
    }
  :: atomic {
      ACTS(c) && phase[c] == ASKING ->
      if
#ifdef COMMIT_ASSUMED
      :: phase[c] = DURABLE
#else
      :: FENCED(c) -> EXIT(c)
      :: !FENCED(c) && landed[c] -> lease = LEASE; phase[c] = DURABLE
      :: !FENCED(c) && !landed[c] -> EXIT(c); marked[c] = true
#endif
      fi
    }
  :: atomic { ACTS(c) && phase[c] == DURABLE -> after(c) }
  od
}

/* Whoever is slower than the lease counts as stopped, so a controller that is not stopped acts before its lease runs out. */
#define IN_TURN (owner == NOBODY || lease != 1 || !ACTS(owner))

proctype clock() {
  byte c;
  do
  :: atomic {
      TRADES && IN_TURN && (lease || permit[0] || permit[1] || (phase[0] && !age[0]) || (phase[1] && !age[1])) ->
      c = 0;
      do
      :: c < 2 ->
          if :: permit[c] -> permit[c]-- :: else fi;
          if :: phase[c] != IDLE -> age[c] = 1 :: else fi;
          c++
      :: else -> break
      od;
      c = 0;
      if :: lease -> lease-- :: else fi
    }
  od
}

proctype exchange() {
  byte n;
  do
  :: atomic {
      AT_WORK > 0 -> n = 0;
      do :: venue[n] != FLYING && venue[n] != WORKING -> n++ :: else -> break od;
      if
      :: venue[n] == FLYING -> if :: venue[n] = WORKING :: venue[n] = OVER fi
      :: venue[n] == WORKING -> venue[n] = OVER
      fi;
      n = 0
    }
  od
}

proctype persons() {
  byte n;
  do
  :: atomic {
      n = 0;
      do :: n < COMMANDS && SIGNED(n) -> n++ :: else -> break od;
      if
      :: n < COMMANDS && SIGNING ->
          if
          :: cmd[n].verb = ADVANCE :: cmd[n].verb = RAMP :: cmd[n].verb = DEMOTE :: cmd[n].verb = HALT
          :: cmd[n].verb = RESUME :: cmd[n].verb = RESET :: cmd[n].verb = REVOKE
          fi;
          if
          :: cmd[n].stage = HALTED :: cmd[n].stage = MOCK :: cmd[n].stage = TESTNET_VALIDATING
          :: cmd[n].stage = VALIDATED :: cmd[n].stage = LIVE_EUR10
          :: cmd[n].stage = RAMPING; if :: cmd[n].step = 1 :: cmd[n].step = 2 fi
          fi;
          if :: cmd[n].who = ALONE :: cmd[n].who = WITH_BOB :: NEEDS_TWO(J.stage, cmd[n].verb) -> cmd[n].who = WITH_CAROL fi;
          if    /* of what leads nowhere, one kind is enough */
          :: cmd[n].verb == REVOKE && cmd[n].stage == HALTED -> skip
          :: cmd[n].verb != REVOKE && DECLARED(J.stage, cmd[n].verb, cmd[n].stage) -> skip
          :: cmd[n].verb == ADVANCE && cmd[n].step == 1 && J.stage != LIVE_EUR10 -> skip
          :: else -> cmd[n].verb = 0; cmd[n].stage = 0; cmd[n].step = 0; cmd[n].who = 0
          fi
      :: else
      fi;
      n = 0
    }
  :: atomic {
      n = 0;
      if :: n = 0 :: COMMANDS > 1 -> n = 1 :: COMMANDS > 2 -> n = 2 fi;
      if
      :: SIGNED(n) && !OVER_WITH(n) -> cmd[n].expired = true
      :: J.waits == n + 1 -> cmd[n].cooled = true
      :: else
      fi;
      n = 0
    }
  od
}

proctype fate() {
  byte c, i;
  do
  :: atomic {
      breaches > 0 && !breach && J.stage != HALTED -> breaches--; breach = true;
#ifdef LOST_BREACH
      if :: owner != NOBODY -> told[owner] = true :: else fi
#endif
    }
  :: atomic { faults > 0 -> c = 0; if :: c = 0 :: c = 1 fi; if :: runs[c] -> faults--; die(c) :: else fi; c = 0 }
  :: atomic {
      faults > 0 -> c = 0; if :: c = 0 :: c = 1 fi;
      if :: ACTS(c) && !stopped[1 - c] -> faults--; stopped[c] = true :: else fi;
      c = 0
    }
  :: atomic { stopped[0] -> if :: stopped[0] = false :: skip fi }     /* a sleeper may sleep for ever */
  :: atomic { stopped[1] -> if :: stopped[1] = false :: skip fi }
  od
}

init {
  byte i;
  atomic {
#ifdef FROM_LIVE
    if :: J.stage = LIVE_EUR10 :: J.stage = HALTED; J.from = LIVE_EUR10 fi;
#else
    if
    :: J.stage = MOCK :: J.stage = TESTNET_VALIDATING :: J.stage = VALIDATED :: J.stage = LIVE_EUR10
    :: J.stage = RAMPING; if :: J.step = 1 :: J.step = 2 fi
    :: J.stage = HALTED;
        if :: J.from = MOCK :: J.from = TESTNET_VALIDATING :: J.from = VALIDATED :: J.from = LIVE_EUR10 :: J.from = RAMPING fi
    fi;
#endif
    owner = 0; lease = LEASE; runs[0] = true; copy(L[0], J); decide(0, BOOT, 0, 0);
    run controller(0); run controller(1); run clock(); run exchange(); run persons(); run fate()
  }
}

#ifdef LIVE
#define halted (J.stage == HALTED)
ltl a_breach_ends_in_halted { [] (breach -> <> halted) }
#endif
