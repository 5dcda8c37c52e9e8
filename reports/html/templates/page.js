"use strict";
for (const explorer of document.querySelectorAll(".explorer")) {
  const filters = explorer.querySelector(".filters");
  if (!filters) continue;
  const cards = [...explorer.querySelectorAll(".card")];
  const chosen = (name) => filters.querySelector(`[data-by=${name}]`).value;
  const filter = () => {
    const [workload, runner, kind] = ["workload", "runner", "kind"].map(chosen);
    let shown = 0;
    for (const card of cards) {
      const said = card.dataset.said.trim().split(" ").map((pair) => pair.split(":"));
      const fits = said.some(([who, what]) => (!runner || who === runner) && (!kind || what === kind));
      card.hidden = !(fits && (!workload || card.dataset.workload === workload));
      shown += card.hidden ? 0 : 1;
    }
    filters.querySelector(".count").textContent = `${shown} of ${cards.length} requests`;
  };
  filters.addEventListener("change", filter);
  filters.hidden = false;
  filter();
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details.numbers")) details.open = true;
});
