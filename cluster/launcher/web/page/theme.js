// The chosen colours, before anything is drawn. The switch itself is in main.js.
(() => {
  const chosen = localStorage.getItem("leasehold-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
