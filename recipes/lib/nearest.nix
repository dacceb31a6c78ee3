# "Did you mean …?" for names that people type.
lib:
let
  inherit (builtins)
    head
    map
    sort
    stringLength
    substring
    ;

  # Characters that two names share in place from the front and from the back,
  # which finds the usual slips without a full edit distance.
  likeness =
    a: b:
    let
      count =
        part:
        let
          go = i: if part a i != null && part a i == part b i then 1 + go (i + 1) else 0;
        in
        go 0;
      front = text: i: if i < stringLength text then substring i 1 text else null;
      back =
        text: i:
        let
          at = stringLength text - 1 - i;
        in
        if at >= 0 then substring at 1 text else null;
    in
    count front + count back;
in
{
  nearest =
    name: candidates:
    let
      scored = map (candidate: {
        inherit candidate;
        score = likeness name candidate;
      }) candidates;
      ordered = sort (a: b: a.score > b.score) scored;
      least = stringLength name / 2;
    in
    if ordered == [ ] || (head ordered).score < (if least < 2 then 2 else least) then
      null
    else
      (head ordered).candidate;
}
